"""OpenVINO's operators in the words of ``places``."""

from __future__ import annotations

from collections.abc import Callable

from edgernn.parity.structure import places, shape_moves
from edgernn.parity.structure.openvino_call import IrCall
from edgernn.parity.structure.sizes import Value

_EXACT = {"f32", "f64", "i32", "i64"}  # types that have every id and count
_WORDS = {
    **dict.fromkeys(("Reshape", "Squeeze", "Transpose", "Unsqueeze"), places.MOVES),
    **dict.fromkeys(("LogicalNot", "LogicalAnd", "LogicalOr"), "mask"),
    "ShapeOf": places.SHAPE,
    "Equal": "equal",
    "NotEqual": "equal",
    "Less": "below",
    "Greater": "above",
    "Subtract": "minus",
    "Maximum": "at least",
    "Minimum": "at most",
    "Select": "choose",
    "Multiply": "times",
    "Add": "plus",
    "ReduceSum": "sum",
    "Gather": "take",
    "SoftMax": "softmax",
    "MatMul": "product",
    "Convert": "cast",
}
Made = Value | list[Value]


def follow_places(call: IrCall, otherwise: Callable[[], Made]) -> Made:
    """Return what an operator makes, by ``places.follow``."""
    word = _WORDS.get(call.layer.kind)
    made: Made = places.follow(word, _values(call), call.what, otherwise, _axes(call, word))
    return made


def _values(call: IrCall) -> list[Value]:
    """Return what goes in as the rules take it: a bound after what it bounds, a product's second
    factor as it is multiplied.
    """
    values = list(call.values)
    if call.layer.kind in {"Maximum", "Minimum"} and values[0].known is not None:
        return values[::-1]
    if call.layer.kind == "MatMul" and call.yes("transpose_b") and values[1].rank > 1:
        last = values[1].rank - 1
        values[1] = shape_moves.transpose(values[1], [*range(last - 1), last, last - 1])
    return values


def _axes(call: IrCall, word: str | None) -> list[int]:
    """Return what the rule of ``word`` takes beside the inputs."""
    if word == "sum":
        axes = call.whole(1)
        return [axes[0], call.yes("keep_dims")] if len(axes) == 1 else []
    if word == "take":
        return [call.whole(2)[0]]
    if word == "softmax":
        return [int(call.get("axis", "-1"))]
    return [call.get("destination_type") in _EXACT] if word == "cast" else []
