"""Faults of deep stacks, of layers that are no recurrent cell, and of weights of few values:
``python benchmarks/faults_stacks.py`` judges these alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from _faulty import Fault, Workshop, edit_manifest
from _faulty_bundles import Recipe, low
from _faulty_c import as_generated, on_graph, on_text
from _faulty_onnx import on_onnx, set_weight, weight
from _report import table

from edgernn.models.cells.table import CELLS

_ALL = ("rollout", "golden")
_WORST = r"worst \w+(\[\d+\])? |WRONG"
_BINARY, _TERNARY = "c/step-binary", "c/step-ternary"
_TOP = "recurrent.layers.1.joined"


def _constants(model: onnx.ModelProto, op: str, place: str = "") -> list[str]:
    """Return the constants that nodes of a kind read, of the layers whose path has ``place``."""
    known = {tensor.name for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == op and place in node.name]
    return [name for node in nodes for name in node.input if name in known]


def _gates_as_in_tensorflow(model: onnx.ModelProto) -> None:
    for name in _constants(model, "Conv"):
        i, f, g, o = np.split(weight(model, name), 4)
        set_weight(model, name, np.concatenate((i, g, f, o)))


def _taps_from_the_newest(model: onnx.ModelProto) -> None:
    for name in _constants(model, "Conv"):
        held = weight(model, name)
        set_weight(model, name, held[..., ::-1] if held.ndim > 1 else held)


def _halves_exchanged(model: onnx.ModelProto) -> None:
    for name in _constants(model, "Conv"):
        a, g = np.split(weight(model, name), 2)
        set_weight(model, name, np.concatenate((g, a)))


def _gate_of_the_other(model: onnx.ModelProto) -> None:
    """g for 1 - g: σ(-a) = 1 - σ(a)."""
    held = [n for op in ("MatMul", "Gemm", "Add") for n in _constants(model, op, "/gate/")]
    for name in dict.fromkeys(held):
        set_weight(model, name, -weight(model, name))


def _way_lost(model: onnx.ModelProto) -> None:
    first = next(n for n in model.graph.node if n.op_type == "Add" and "/ways" in n.name)
    made = onnx.helper.make_node("Identity", [first.input[1]], list(first.output))
    model.graph.node[list(model.graph.node).index(first)].CopyFrom(made)


def _bias_of_the_gate_lost(model: onnx.ModelProto) -> None:
    """A highway's gates start at 1/2 instead of nearly shut."""
    for name in _constants(model, "Add", "/gate/"):
        set_weight(model, name, np.zeros_like(weight(model, name)))


def _scales_lost(model: onnx.ModelProto) -> None:
    """A layer's weights are signs alone."""
    name = f"{_TOP}.scales"
    set_weight(model, name, np.ones_like(weight(model, name)))


def _labels_exchanged(manifest: dict[str, Any]) -> None:
    first, *others = manifest["labels"]["classes"]
    manifest["labels"]["classes"] = [*others, first]


def _rows_moved(model: onnx.ModelProto) -> None:
    name = f"{_TOP}.integers"
    set_weight(model, name, np.roll(weight(model, name), 1, axis=0))


FAULTS = (
    Fault(
        "ConvLSTM gates in TensorFlow's order",
        "i, g, f, o for i, f, g, o",
        on_onnx(_gates_as_in_tensorflow),
        _ALL,
        _WORST,
        honest="conv_lstm",
    ),
    Fault(
        "taps of causal convolutions from the newest",
        "a kernel that is turned round",
        on_onnx(_taps_from_the_newest),
        _ALL,
        _WORST,
        honest="causal_convolution",
    ),
    Fault(
        "halves of gated convolutions exchanged",
        "the gate first, as some have it",
        on_onnx(_halves_exchanged),
        _ALL,
        _WORST,
        honest="causal_convolution",
    ),
    Fault(
        "a highway's gate for its carry",
        "1 - g where g is meant",
        on_onnx(_gate_of_the_other),
        _ALL,
        _WORST,
        honest="highway",
    ),
    Fault(
        "a way past a layer lost", "a dropped addition", on_onnx(_way_lost), _ALL, _WORST,
        honest="residual",
    ),
    Fault(
        "a highway's gates without their bias",
        "a bias left out",
        on_onnx(_bias_of_the_gate_lost),
        _ALL,
        _WORST,
        honest="highway",
    ),
    Fault(
        "labels of classes exchanged",
        "another order of classes",
        lambda folder: edit_manifest(folder, _labels_exchanged),
        ("contract",),
        r"labels of classes are not the reference's",
        honest="labelled",
    ),
    *(
        Fault(
            f"C: the scales of {name} weights lost",
            "signs without their size",
            change(_scales_lost, inner),
            _ALL,
            _WORST,
            honest=f"c {name}",
            artifact=inner,
            trust=True,
        )
        for name, inner, change in (
            ("binary", _BINARY, as_generated),
            ("ternary", _TERNARY, on_graph),
        )
    ),
    *(
        Fault(
            f"C: rows of {name} weights moved by one",
            "a packer that is one row off",
            as_generated(_rows_moved, inner),
            _ALL,
            _WORST,
            honest=f"c {name}",
            artifact=inner,
            trust=True,
        )
        for name, inner in (("binary", _BINARY), ("ternary", _TERNARY))
    ),
    Fault(
        "C: signs of binary weights ignored",
        "a kernel that adds where it is to take away",
        on_text(r"\(x \^ minus\) - minus", "x", _BINARY),
        _ALL,
        _WORST,
        honest="c binary",
        artifact=_BINARY,
        trust=True,
    ),
    Fault(
        "C: binary weights read from the high bits",
        "another order of bits",
        on_text(r"bits\[r\] >> j & 1u", "bits[r] >> (31 - j) & 1u", _BINARY),
        _ALL,
        _WORST,
        honest="c binary",
        artifact=_BINARY,
        trust=True,
    ),
    Fault(
        "C: plus and minus of ternary weights exchanged",
        "another code",
        on_text(r"\(x & plus\) - \(x & minus\)", "(x & minus) - (x & plus)", _TERNARY),
        _ALL,
        _WORST,
        honest="c ternary",
        artifact=_TERNARY,
        trust=True,
    ),
)  # fmt: skip


def honest() -> Iterator[tuple[str, Recipe]]:
    """Yield every cell with a way past its layers, and with weights of few values in C; the other
    networks that faults are applied to.
    """
    for cell in CELLS:
        for between in ("residual", "highway"):
            model = {"cell": cell, "layers": 3, "hidden": 16, "between": between}
            yield f"{cell} {between}", Recipe(model, to=("onnx", "torchscript"))
        for weights in ("binary", "ternary"):
            options = {**low(weights), "decoding": False, "target": "literals"}
            model = {"cell": cell, "hidden": 16, "weights": weights}
            yield f"{cell} {weights}", Recipe(model, to=("c",), options=options)
    for name in ("conv_lstm", "causal_convolution", "labelled"):
        to = ("onnx", "torchscript", "coreml", "c")
        yield name, Recipe({"name": name}, to=to, kind="described")


def main() -> None:
    """Judge every fault of this file, and verify its honest exports."""
    from faults import false_alarms

    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(Path(scratch))
        verdicts = {fault.name: workshop.judge(fault) for fault in FAULTS}
        exports, alarms = 0, []
        for name, recipe in honest():
            files, found = false_alarms(recipe, Path(scratch) / "honest")
            exports, alarms = exports + files, alarms + [f"{name}: {line}" for line in found]
    rows = [
        (name, ", ".join(v.caught_by) or v.outcome, v.message[:160]) for name, v in verdicts.items()
    ]
    table(("fault", "caught by", "message"), rows)
    caught = sum(verdict.outcome == "caught" for verdict in verdicts.values())
    for line in alarms:
        print(f"FALSE ALARM: {line}")
    print(f"{caught} of {len(verdicts)} faults caught, {len(alarms)} of {exports} alarmed falsely")
    raise SystemExit(caught != len(verdicts) or bool(alarms))


if __name__ == "__main__":
    main()
