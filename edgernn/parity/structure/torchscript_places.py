"""torch's operators in the words of ``places``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.parity.structure import place_rules, places
from edgernn.parity.structure.sizes import Size, SizeError, Value, known
from edgernn.parity.structure.torchscript_moves import Arguments, value_of

_EXACT = {3, 4, 6, 7}  # int, long, float, double: types that have every id and count
_WORDS = {
    **dict.fromkeys(
        (
            *("alias", "clone", "contiguous", "detach", "flatten", "permute", "reshape"),
            *("squeeze", "t", "transpose", "unsqueeze", "view"),
        ),
        places.MOVES,
    ),
    **dict.fromkeys(("logical_not", "logical_and", "logical_or"), "mask"),
    **dict.fromkeys(("eq", "ne"), "equal"),
    **dict.fromkeys(("matmul", "bmm"), "product"),
    "size": places.SHAPE,
    "lt": "below",
    "gt": "above",
    "sub": "minus",
    "clamp": "at least",
    "where": "choose",
    "masked_fill": "fill",
    "mul": "times",
    "add": "plus",
    "sum": "sum",
    "index_select": "take",
    "softmax": "softmax",
    "to": "cast",
}
_INPUTS = ("condition", "self", "mask", "index", "other", "mat2", "value", "min", "max")


def follow_places(kind: str, given: Arguments, otherwise: Callable[[], Any]) -> Any:
    """Return what an operator makes, by ``places.follow``."""
    word = _WORDS.get(kind.removeprefix("aten::"))
    if kind.endswith("_") and isinstance(given.get("self"), Value):
        places.refuse_written(given["self"], kind)
    if word in {"plus", "minus"} and given.get("alpha", 1) != 1:
        word = None
    named = [given[name] for name in _INPUTS if name in given]
    if word not in place_rules.RULES or word in {"sum", "softmax", "cast"}:
        named = named[:1] if word is not None else list(_tensors(given))
    values = [_value(content) for content in named]
    return places.follow(word, values, kind, otherwise, _axes(given, word))


def count_up(given: Arguments, what: str) -> Value:
    """Count from, to and by numbers that are known, or along an axis."""
    start, end, step = given.get("start", 0), given["end"], given.get("step", 1)
    if any(isinstance(number, Size | Value) for number in (start, step)):
        raise SizeError(f"{what} counts from, or by, the size of an axis")
    if isinstance(end, Size) and (start, step) == (0, 1):
        return places.count_up(end, what)
    if isinstance(end, Size | Value):
        raise SizeError(f"{what} counts to the size of an axis")
    return known(np.arange(start, end, step).astype(object))


def _tensors(given: Arguments) -> Any:
    for content in given.values():
        yield from content if isinstance(content, list) else [content]


def _value(content: Any) -> Value | None:
    return value_of(content) if isinstance(content, Value | int | float | Size) else None


def _axes(given: Arguments, word: str | None) -> list[int]:
    """Return what the rule of ``word`` takes beside the inputs."""
    axes: Any = given.get("dim")
    if word == "sum":
        whole = given.get("dtype") in {None, *_EXACT}
        one = whole and isinstance(axes, list) and len(axes) == 1
        return [axes[0], bool(given["keepdim"])] if one else []
    if word in {"take", "softmax"}:
        return [axes]
    return [given.get("dtype") in _EXACT] if word == "cast" else []
