"""ONNX's operators in the words of ``places``."""

from __future__ import annotations

from collections.abc import Callable

from edgernn.parity.structure import places
from edgernn.parity.structure.onnx_call import Call
from edgernn.parity.structure.sizes import Value

_EXACT = {1, 6, 7, 11}  # float, int32, int64, double: types that have every id and count
_WORDS = {
    **dict.fromkeys(
        ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"), places.MOVES
    ),
    **dict.fromkeys(("Not", "And", "Or"), "mask"),
    "Shape": places.SHAPE,
    "Equal": "equal",
    "Less": "below",
    "Greater": "above",
    "Sub": "minus",
    "Clip": "at least",
    "Where": "choose",
    "Mul": "times",
    "Add": "plus",
    "ReduceSum": "sum",
    "Gather": "take",
    "Softmax": "softmax",
    "MatMul": "product",
    "Cast": "cast",
}


def follow_places(call: Call, otherwise: Callable[[], Value | list[Value]]) -> Value | list[Value]:
    """Return what an operator makes, by ``places.follow``."""
    word = _WORDS.get(call.node.op)
    made: Value | list[Value] = places.follow(
        word, call.values, call.what, otherwise, _axes(call, word)
    )
    return made


def _axes(call: Call, word: str | None) -> list[int]:
    """Return what the rule of ``word`` takes beside the inputs."""
    if word == "sum":
        axes = call.numbers(1, "axes") or []
        return [int(axes[0]), call.get("keepdims", 1)] if len(axes) == 1 else []
    if word == "take":
        return [call.get("axis", 0)]
    if word == "softmax":
        return [call.get("axis", -1)]
    return [call.get("to") in _EXACT] if word == "cast" else []
