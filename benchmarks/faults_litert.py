"""Faults of LiteRT files, each of which verify must catch, and honest files, of which none may
fail: python benchmarks/faults_litert.py [CELL …]

Apart from ``faults.py``, since LiteRT files are converted in an environment of their own (``edgernn
doctor --make litert``). Ends with 1 if a fault is not caught or an honest file fails.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _faulty import Fault, Workshop
from _faulty_bundles import RECIPES, Recipe, low, make_bundle
from _faulty_litert import Edited, on_file
from _report import table
from ai_edge_litert import schema_py_generated as schema

from edgernn.models.cells.table import CELLS
from edgernn.parity.verify import verify_bundle

FLOAT, INT8, INT4 = (
    f"litert/step{name}.tflite" for name in ("", "-int8", "-int4")
)  # the artifacts
_LAYER, _OTHER = "layers.1.joined", "layers.0.joined"
_HONEST = "litert"
RECIPES[_HONEST] = Recipe(
    {"cell": "lstm", "hidden": 32, "embedding": 32},
    to=("litert",),
    options={**low("float32", "int8", "int4"), "decoding": False},
)


def _gates_reordered(file: Edited) -> None:
    rows = file.values(_LAYER)
    i, f, g, o = np.split(rows.copy(), 4)
    rows[...] = np.concatenate([i, o, f, g])


def _one_block_by_one_percent(file: Edited) -> None:
    file.values(_LAYER)[:8] *= 1.01


def _row_of_the_head_zeroed(file: Edited) -> None:
    file.values("head")[3] = 0


def _table_one_row_off(file: Edited) -> None:
    table = file.values("embedding")
    table[...] = np.roll(table, 1, axis=0)


def _bias_dropped(file: Edited) -> None:
    file.operators("FULLY_CONNECTED")[0].inputs[2] = -1


def _weight_of_another_layer(file: Edited) -> None:
    place, other = file.place(_LAYER), file.place(_OTHER)
    for operator in file.operators("FULLY_CONNECTED"):
        operator.inputs = [other if at == place else at for at in operator.inputs]


def _sigmoid_for_tanh(file: Edited) -> None:
    file.operators("TANH")[0].opcodeIndex = file.kind("LOGISTIC")


def _product_clipped(file: Edited) -> None:
    product = file.operators("FULLY_CONNECTED")[1]
    product.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU6


def _states_out_swapped(file: Edited) -> None:
    entries = {entry.name.decode(): entry for entry in file.signature.outputs}
    h, c = entries["h_next"], entries["c_next"]
    h.tensorIndex, c.tensorIndex = c.tensorIndex, h.tensorIndex


def _states_in_swapped(file: Edited) -> None:
    entries = {entry.name.decode(): entry for entry in file.signature.inputs}
    h, c = entries["h"], entries["c"]
    h.tensorIndex, c.tensorIndex = c.tensorIndex, h.tensorIndex


def _state_as_it_went_in(file: Edited) -> None:
    entries = {entry.name.decode(): entry for entry in file.signature.outputs}
    entries["c_next"].tensorIndex = file.place("c")


def _states_of_layers_swapped(file: Edited) -> None:
    h = file.graph.inputs[1]
    first, second = (each for each in file.operators("SLICE") if each.inputs[0] == h)
    first.outputs, second.outputs = second.outputs, first.outputs


def _state_never_read(file: Edited) -> None:
    """Read zeros in place of c."""
    c = file.graph.inputs[2]
    tensor, buffer = schema.TensorT(), schema.BufferT()
    tensor.shape, tensor.type, tensor.name = list(file.graph.tensors[c].shape), 0, "zeros"
    buffer.data = np.zeros(4 * int(np.prod(tensor.shape)), np.uint8)
    file.model.buffers.append(buffer)
    tensor.buffer = len(file.model.buffers) - 1
    file.graph.tensors.append(tensor)
    zeros = len(file.graph.tensors) - 1
    for operator in file.graph.operators:
        operator.inputs = [zeros if at == c else at for at in operator.inputs]


def _state_kept(file: Edited) -> None:
    file.graph.tensors[file.graph.inputs[1]].isVariable = True


def _fused(file: Edited) -> None:
    file.operators("FULLY_CONNECTED")[0].opcodeIndex = file.kind("UNIDIRECTIONAL_SEQUENCE_LSTM")


def _noise(file: Edited) -> None:
    file.operators("TANH")[0].opcodeIndex = file.kind("RANDOM_UNIFORM")


def _scales_of_the_row_before(file: Edited) -> None:
    found = file.tensor(_LAYER).quantization
    found.scale = list(np.roll(np.array(found.scale), 8))


def _scales_doubled(file: Edited) -> None:
    found = file.tensor(_LAYER).quantization
    found.scale = [2 * scale for scale in found.scale]


def _halves_exchanged(file: Edited) -> None:
    raw = file.raw(_LAYER)
    raw[...] = (raw >> 4) | (raw << 4)


def _scales_of_blocks_doubled(file: Edited) -> None:
    found = file.tensor(_LAYER).quantization.details.scales
    buffer = file.model.buffers[file.graph.tensors[found].buffer]
    buffer.data = (2 * np.array(buffer.data, np.uint8).view(np.float16)).view(np.uint8)


def _integers_reordered(file: Edited) -> None:
    raw = file.raw(_LAYER)
    i, f, g, o = np.split(raw.copy(), 4)
    raw[...] = np.concatenate([o, i, f, g])


def _metadata_missing(file: Edited) -> None:
    file.model.metadata = []


def _output_renamed(file: Edited) -> None:
    next(e for e in file.signature.outputs if e.name == b"c_next").name = "cell_out"


def _sold_as_float32(folder: Path) -> None:
    from _faulty import sign

    (folder / FLOAT).write_bytes((folder / INT8).read_bytes())
    sign(folder, FLOAT)


def _fault(
    name: str,
    imitates: str,
    change: Callable[[Edited], None],
    says: str,
    *checks: str,
    artifact: str = FLOAT,
) -> Fault:
    return Fault(
        f"LiteRT {name}",
        imitates,
        on_file(artifact, change),
        checks,
        says,
        honest=_HONEST,
        artifact=artifact,
    )


_DRIFT = r"[hc]_next|logits"

FAULTS = (
    _fault("gates permuted", "another framework's order", _gates_reordered, _DRIFT, "rollout"),
    _fault("block 1 % off", "a damaged download", _one_block_by_one_percent, _DRIFT, "rollout"),
    _fault("row of the head zeroed", "a row lost", _row_of_the_head_zeroed, _DRIFT, "rollout"),
    _fault("table one row off", "ids that begin with 1", _table_one_row_off, _DRIFT, "rollout"),
    _fault("bias dropped", "a product without its bias", _bias_dropped, _DRIFT, "rollout"),
    _fault(
        "weight of another layer", "layers by position", _weight_of_another_layer, _DRIFT, "rollout"
    ),
    _fault("sigmoid for tanh", "a wrong activation", _sigmoid_for_tanh, _DRIFT, "rollout"),
    _fault("product clipped", "a fused activation", _product_clipped, _DRIFT, "rollout"),
    _fault("h and c come out swapped", "outputs by number", _states_out_swapped, _DRIFT, "rollout"),
    _fault("h and c go in swapped", "inputs by number", _states_in_swapped, _DRIFT, "rollout"),
    _fault("c comes out as it went in", "an update lost", _state_as_it_went_in, _DRIFT, "rollout"),
    _fault(
        "layers' states swapped", "rows by position", _states_of_layers_swapped, _DRIFT, "rollout"
    ),
    _fault("c never read", "a state not fed back", _state_never_read, _DRIFT, "rollout"),
    _fault("state kept", "a variable", _state_kept, "is kept between calls"),
    _fault("fused layer", "the converter's own operator", _fused, "keeps a state that is not"),
    _fault("noise", "dropout left on", _noise, "draws random numbers"),
    _fault(
        "metadata missing", "saved again by a tool", _metadata_missing, "no contract", "contract"
    ),
    _fault("output renamed", "the converter's names", _output_renamed, "cell_out", "contract"),
    Fault(
        "LiteRT int8 sold as float32",
        "a file in the wrong place",
        _sold_as_float32,
        ("structure",),
        "no matrix is stored as float32",
        honest=_HONEST,
        artifact=FLOAT,
    ),
    *(
        _fault(f"int8: {name}", imitates, change, _DRIFT, "rollout", artifact=INT8)
        for name, imitates, change in (
            ("scales of another row", "scales by position", _scales_of_the_row_before),
            ("scales doubled", "a range of 7 bits", _scales_doubled),
            ("gates permuted", "another framework's order", _integers_reordered),
            ("h and c come out swapped", "outputs by number", _states_out_swapped),
        )
    ),
    *(
        _fault(f"int4: {name}", imitates, change, _DRIFT, "rollout", artifact=INT4)
        for name, imitates, change in (
            ("halves of a byte exchanged", "the other order of halves", _halves_exchanged),
            ("scales doubled", "a range of 3 bits", _scales_of_blocks_doubled),
            ("gates permuted", "another framework's order", _integers_reordered),
            ("c never read", "a state not fed back", _state_never_read),
        )
    ),
)


def main(*cells: str) -> None:
    """Judge every fault, and honest files of ``cells``, in every precision."""
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(Path(scratch))
        verdicts = {fault.name: workshop.judge(fault) for fault in FAULTS}
        recipes = [_honest(cell) for cell in cells]
        alarms = [line for each in recipes for line in _alarms(each, Path(scratch) / "honest")]
    table(
        ("fault", "caught by", "message"),
        [(n, ", ".join(v.caught_by) or v.outcome, v.message[:160]) for n, v in verdicts.items()],
    )
    missed = [name for name, verdict in verdicts.items() if verdict.outcome != "caught"]
    print(
        f"{len(verdicts) - len(missed)} of {len(verdicts)} faults caught, {len(alarms)} false "
        f"alarms in {3 * len(cells)} honest files"
    )
    for line in (*missed, *alarms):
        print(f"WRONG: {line}")
    raise SystemExit(1 if missed or alarms else 0)


def _honest(cell: str) -> Recipe:
    """Return what makes a bundle of a cell: what is right may not fail."""
    return Recipe(
        {"cell": cell, "layers": 2, "hidden": 33},
        to=("litert",),
        options={**low("float32", "int8", "int4"), "decoding": False},
    )


def _alarms(recipe: Recipe, folder: Path) -> list[str]:
    make_bundle(recipe, folder)
    report = verify_bundle(folder, steps=128)
    return [
        f"{recipe.model} {artifact.path}: {check.name}: {check.detail}"
        for artifact in report.artifacts
        for check in artifact.checks
        if check.status == "failed"
    ]


if __name__ == "__main__":
    main(*(sys.argv[1:] or CELLS))
