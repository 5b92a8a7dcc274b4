"""Faults of deep stacks, of layers that are no recurrent cell, and of weights of few values:
``python benchmarks/faults_stacks.py`` judges these alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from _faulty import Fault, Workshop
from _faulty_c import as_generated, on_text
from _faulty_onnx import on_onnx, set_weight, weight
from _report import table

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


def main() -> None:
    """Judge every fault of this file."""
    with tempfile.TemporaryDirectory() as scratch:
        workshop = Workshop(Path(scratch))
        verdicts = {fault.name: workshop.judge(fault) for fault in FAULTS}
    rows = [
        (name, ", ".join(v.caught_by) or v.outcome, v.message[:160]) for name, v in verdicts.items()
    ]
    table(("fault", "caught by", "message"), rows)
    caught = sum(verdict.outcome == "caught" for verdict in verdicts.values())
    print(f"{caught} of {len(verdicts)} faults caught")
    raise SystemExit(caught != len(verdicts))


if __name__ == "__main__":
    main()
