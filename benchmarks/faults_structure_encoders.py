"""Faults of what reads a sequence once, and of attention over it, that short samples do not show: a
frozen length, sizes frozen in an index, rows that meet, places that are used as data.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from _faulty import Fault
from _faulty_onnx import Change, add_weight, node, on_onnx, through_output

_ENCODE, _STEP = "onnx/encode.onnx", "onnx/step.onnx"
_LENGTH = 40  # ids, more than those of samples
_MADE = {
    "lengths": np.array(_LENGTH, np.int64),
    "other_id": np.array(5, np.int64),
    "rows": np.array([0], np.int64),
    "along": np.array([1], np.int64),
    "two": np.array([2], np.int64),
    "small": np.float32(1e-9),
}


def _only(model: onnx.ModelProto, op: str, place: int = 0) -> Any:
    return [entry for entry in model.graph.node if entry.op_type == op][place]


def _reads(op: str, place: int, weight: str) -> Change:
    """Let the first operator of a kind read a number in place of what it read."""

    def change(model: onnx.ModelProto) -> None:
        add_weight(model, weight, _MADE[weight])
        _only(model, op).input[place] = weight

    return change


def _rows_frozen(model: onnx.ModelProto) -> None:
    """Let each row start after 40 ids, whatever the rows have."""
    add_weight(model, "lengths", _MADE["lengths"])
    for entry in model.graph.node:
        if entry.op_type == "Mul" and entry.input[1].endswith("Gather_1_output_0"):
            entry.input[1] = "lengths"


def _softmax_over_rows(model: onnx.ModelProto) -> None:
    (axis,) = [entry for entry in _only(model, "Softmax").attribute if entry.name == "axis"]
    axis.i = 0


def _added(*nodes: onnx.NodeProto, to: str) -> Change:
    """Add a billionth of what ``nodes`` make, ``found``, to an output."""

    def change(model: onnx.ModelProto) -> None:
        for name in ("small", "along", "two"):
            add_weight(model, name, _MADE[name])
        through_output(
            model,
            to,
            *nodes,
            node("Mul", ["found", "small"], "tiny"),
            node("Add", [f"{to}_raw", "tiny"], to),
        )

    return change


_COUNT = "/encoder/ReduceSum_output_0"


def _fault(name: str, imitates: str, change: Change, says: str, artifact: str = _ENCODE) -> Fault:
    return Fault(
        name,
        imitates,
        on_onnx(change, artifact),
        ("structure",),
        says,
        honest="translator",
        artifact=artifact,
        strict=True,
    )


FAULTS = (
    _fault(
        "an encoder's mask by a frozen length",
        "the length of the example traced",
        _reads("Less", 1, "lengths"),
        r"Less .* compares places along an axis with 40",
    ),
    _fault(
        "an encoder's rows start at a frozen size",
        "a size of the example baked in",
        _rows_frozen,
        r"Mul .* multiplies places along an axis by 40, which is no size",
    ),
    _fault(
        "ids counted over rows",
        "axes exchanged",
        _reads("ReduceSum", 1, "rows"),
        r"ReduceSum .* along the axis batch mixes",
    ),
    _fault(
        "attention's softmax over rows",
        "axes exchanged",
        _softmax_over_rows,
        r"Softmax .* along the axis batch mixes",
        _STEP,
    ),
    _fault(
        "an encoder compares ids with another one",
        "the padding of another tokenizer",
        _reads("Equal", 1, "other_id"),
        r"Equal .* decides by ids",
    ),
    _fault(
        "an encoder's keys know the count of ids",
        "a length penalty",
        _added(node("Unsqueeze", [_COUNT, "along"], "found"), to="feature_keys"),
        r"takes a count of ids along the axis source as data",
    ),
    _fault(
        "attention's keys summed over places",
        "a sum in place of weights",
        _added(
            node("ReduceSum", ["feature_keys", "along"], "sum"),
            node("ReduceSum", ["sum", "two"], "found"),
            to="logits",
        ),
        r"ReduceSum .* along the axis source, whose size encode chooses",
        _STEP,
    ),
)
