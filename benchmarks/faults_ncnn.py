"""Faults in ncnn folders: python benchmarks/faults_ncnn.py

Of a converter, a packer and a stranger; a part of faults.py where ncnn is installed, and a run of
its own.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from _faulty import Fault, Workshop, sign
from _faulty_bundles import Recipe, low, make_bundle
from _faulty_ncnn import (
    EIGHT,
    HALF,
    STEP,
    Apply,
    Layers,
    on_layers,
    on_matrix,
    on_weights,
    places,
    renamed,
    with_kind,
)
from _report import table

from edgernn.families.captioner import CONDITIONINGS
from edgernn.models.cells.table import CELLS
from edgernn.parity.verify import verify_bundle
from edgernn.sessions.ncnn.folder import NcnnGraph
from edgernn.sessions.ncnn.text import Layer

_ANY = r"worst [\w\[\]]+ .* at call \d+"
_DRIFTS = ("rollout", "golden")


def _gates_in_onnxs_order(matrix: np.ndarray) -> np.ndarray:
    i, f, o, g = np.split(matrix, 4)
    return np.concatenate((i, o, f, g))


def _zeroed_row(matrix: np.ndarray) -> np.ndarray:
    matrix[3] = 0
    return matrix


def _a_weight_off(matrix: np.ndarray) -> np.ndarray:
    matrix[2, 1] += 0.05
    return matrix


def _bias_dropped(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
    for at, held in enumerate(graph.weights):
        if held.layer.kind in ("LSTM", "GRU") and not held.is_matrix:
            arrays[at][:] = 0


def _bias_of_n_summed(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
    for at, held in enumerate(graph.weights):
        if held.layer.kind == "GRU" and not held.is_matrix:
            r, z, n, state = np.split(arrays[at], 4)
            arrays[at] = np.concatenate((r, z, n + state, 0 * state))


def _layers_exchanged(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
    first, second = places(graph.weights, "from_hidden")
    arrays[first], arrays[second] = arrays[second], arrays[first]


def _scale_of_all_rows(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
    for at, held in enumerate(graph.weights):
        if held.layer.kind == "MemoryData" and (arrays[at] > 0).all():
            arrays[at][:] = arrays[at].max()


def _table_scale_doubled(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
    (at,) = places(graph.weights, "embedding")
    arrays[at + 1] *= 2


def _in_half(arrays: list[np.ndarray], graph: NcnnGraph) -> None:
    for at, held in enumerate(graph.weights):
        if held.is_matrix:
            arrays[at] = arrays[at].astype(np.float16).astype(np.float32)


def _not_fed_back(layers: Layers) -> Layers:
    """Give the old cell as the next one."""
    c, rest = "c.old", renamed(layers, {"c_next": "c.lost"})
    at = next(place for place, one in enumerate(rest) if one.makes == ("c",))
    reader = next(place for place, one in enumerate(rest) if "c" in one.reads)
    reads = tuple("c.used" if name == "c" else name for name in rest[reader].reads)
    rest[reader] = replace(rest[reader], reads=reads)
    rest.insert(at + 1, Layer("Split", "again", ("c",), ("c.used", c)))
    zero = Layer("BinaryOp", "zero", ("c.lost",), ("c.zero",), {0: 2, 1: 1, 2: 0.0})
    return [*rest, zero, Layer("BinaryOp", "old", ("c.zero", c), ("c_next",), {0: 0})]


def _half_floats(layers: Layers) -> Layers:
    return [
        replace(one, numbers={key: value for key, value in one.numbers.items() if key != 31})
        for one in layers
    ]


def _swapped(*names: str) -> dict[str, str]:
    one, other = names
    return {one: other, other: one}


def _scaled(layers: Layers) -> Layers:
    at = next(place for place, one in enumerate(layers) if "logits" in one.makes)
    made = replace(layers[at], makes=("small",))
    scale = Layer("BinaryOp", "scale", ("small",), ("logits",), {0: 2, 1: 1, 2: 1.001})
    return [*layers[:at], made, scale, *layers[at + 1 :]]


def _cut(folder: Path) -> None:
    path = folder / STEP / "step.bin"
    path.write_bytes(path.read_bytes()[:-4])
    sign(folder, STEP)


def _another_contract(folder: Path) -> None:
    path = folder / STEP / "contract.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["contract"]["sizes"]["hidden"] = 8
    path.write_text(json.dumps(content), encoding="utf-8")
    sign(folder, STEP)


def _fault(
    name: str,
    imitates: str,
    apply: Apply,
    caught: tuple[str, ...] = _DRIFTS,
    says: str = "",
    *,
    honest: str = "",
    inner: str = STEP,
) -> Fault:
    words = says or (_ANY if caught == _DRIFTS else ".")
    honest = honest or f"ncnn {inner.partition('-')[2] or 'float32'}"
    return Fault(f"ncnn: {name}", imitates, apply, caught, words, honest=honest, artifact=inner)


FAULTS = (
    _fault(
        "gates in ONNX's order",
        "rows that were not reordered",
        on_matrix(_gates_in_onnxs_order),
    ),
    _fault(
        "gates in ONNX's order, float16",
        "rows that were not reordered",
        on_matrix(_gates_in_onnxs_order, HALF, name="joined"),
        inner=HALF,
    ),
    _fault(
        "r and z of a GRU exchanged",
        "rows in ONNX's order",
        on_matrix(lambda m: np.concatenate([np.split(m, 3)[at] for at in (1, 0, 2)])),
        honest="ncnn gru",
    ),
    _fault(
        "the biases of n summed",
        "a GRU that resets before the product",
        on_weights(_bias_of_n_summed),
        honest="ncnn gru",
    ),
    _fault(
        "h and c swapped",
        "outputs in another order",
        on_layers(lambda layers: renamed(layers, _swapped("h_next", "c_next"))),
    ),
    _fault(
        "h and c swapped where they go in",
        "inputs in another order",
        on_layers(lambda layers: renamed(layers, _swapped("h", "c"))),
        ("contract", "rollout"),
    ),
    _fault("a state is not fed back", "a copy of what went in", on_layers(_not_fed_back)),
    _fault("a row of zeros", "a lane that is not filled", on_matrix(_zeroed_row)),
    _fault("one weight off by 0.05", "a flash cell", on_matrix(_a_weight_off)),
    _fault("biases dropped", "a packer that takes none", on_weights(_bias_dropped)),
    _fault("weights of the layers exchanged", "an order by name", on_weights(_layers_exchanged)),
    _fault(
        "table rows off by one",
        "an id that is counted from 1",
        on_matrix(lambda m: np.roll(m, 1, 0), name="embedding"),
    ),
    _fault(
        "ReLU becomes tanh",
        "ncnn's own recurrent layer, which has no other",
        on_layers(lambda layers: with_kind(layers, "ReLU", "TanH")),
        honest="ncnn relu",
    ),
    _fault(
        "a cheap sigmoid",
        "a layer that was taken for another",
        on_layers(lambda layers: with_kind(layers, "Sigmoid", "HardSigmoid"), HALF),
        inner=HALF,
    ),
    _fault("scores a thousandth too large", "a constant folded twice", on_layers(_scaled)),
    _fault(
        "half floats where float32 is said",
        "layers that say nothing, in a runtime that prefers half floats",
        on_layers(_half_floats),
        ("structure",),
        "may be taken in half floats, the precision is float32",
    ),
    _fault(
        "weights rounded to half floats and stored in float32",
        "a converter whose default is fp16",
        on_weights(_in_half),
    ),
    _fault(
        "one scale for all rows",
        "a scale of the whole matrix",
        on_weights(_scale_of_all_rows, EIGHT),
        ("rollout",),
        inner=EIGHT,
    ),
    _fault(
        "the scale of the table doubled",
        "a scale where its inverse belongs",
        on_weights(_table_scale_doubled, EIGHT),
        ("rollout",),
        inner=EIGHT,
    ),
    _fault(
        "integers of the row before",
        "an index that is off by one",
        on_matrix(lambda m: np.roll(m, 1, 0), EIGHT, name="joined"),
        ("rollout",),
        inner=EIGHT,
    ),
    _fault("weights cut", "a transfer that broke off", _cut, (), "ends in what"),
    _fault("another contract", "a file of another model", _another_contract, (), "contract"),
)


def main() -> None:
    rows, outcomes, alarms, exports = [], Counter(), [], 0
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(Path(scratch))
        for fault in FAULTS:
            found = workshop.judge(fault)
            outcomes[found.outcome] += 1
            told = " ".join(found.message.replace("|", "/").split())[:160]
            rows.append((fault.name, ", ".join(found.caught_by) or found.outcome, told))
            if found.outcome != "caught":
                print(f"NOT CAUGHT: {fault.name} ({found.outcome}): {told}", flush=True)
        for name, recipe in honest():
            make_bundle(recipe, Path(scratch) / "honest")
            report = verify_bundle(Path(scratch) / "honest", steps=128)
            exports += len(report.artifacts)
            alarms += [
                f"{name}: {entry.path} {check.name}: {check.detail}"
                for entry in report.artifacts
                for check in entry.checks
                if check.status == "failed"
            ]
    table(("fault", "caught by", "message"), rows)
    for line in alarms:
        print(f"FALSE ALARM: {line}")
    caught = outcomes["caught"]
    print(f"{caught} of {len(FAULTS)} caught, {len(alarms)} false alarms in {exports} honest files")
    raise SystemExit(1 if alarms or caught < len(FAULTS) else 0)


def honest() -> Iterator[tuple[str, Recipe]]:
    """Yield every cell in every precision, and every captioner."""
    options = {**low("float32", "float16", "int8"), "decoding": False}
    for cell in CELLS:
        recipe = Recipe({"cell": cell, "hidden": 33}, to=("ncnn",), options=options)
        yield f"{cell} ncnn", recipe
    for conditioning in CONDITIONINGS:
        recipe = Recipe({"conditioning": conditioning}, to=("ncnn",), kind="caption")
        yield f"captioner {conditioning} ncnn", recipe


if __name__ == "__main__":
    main()
