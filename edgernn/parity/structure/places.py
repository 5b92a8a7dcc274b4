"""What whole numbers and weights mean that a graph computes of the ids that ``encode`` reads: masks
of padding, the number of ids of a row, places within a row.

A sequence of ids along an axis that encode chooses has 0 after its end, and padded rows are among
what is run. So ids may be compared with 0, and with nothing else; what that gives is data, as ids
are. What is counted along such an axis, and the places along it, are no data: they may be compared
with one another, and computed with only as an index that stays within its own row. A place that is
compared with, or multiplied by, a number is right at one size alone.

Along such an axis a softmax may meet, and a sum by the weights that it gives; no other sum may, for
a sum of ones counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from edgernn.contract import BATCH
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.sizes import (
    Dim,
    Meaning,
    Size,
    SizeError,
    UnknownError,
    Value,
    broadcast,
    is_callers,
    is_open,
    joined,
    show,
)

_IDS, _TRUTH = "ids", "a mask of ids"
_WITHIN = "whether a place is before the end of its row"
_PLACE, _COUNT = "places", "a count of ids"
_BACK = "places from the end of a row"
_INSIDE = "places within a row"
_START = "where rows start"
_FLAT = "places within all rows"
_WEIGHTS = "weights of a softmax"
_DATA = frozenset((_IDS, _TRUTH, _WITHIN, _WEIGHTS))  # which any operator may take
_MASKS = frozenset((_TRUTH, _WITHIN))
_ROWS: Dim = (BATCH,)
Values = Sequence[Value | None]
Rule = Callable[[Values, str, Sequence[int]], Value | None]


def mark_ids(value: Value, dtype: str | None) -> Value:
    """Return an input, marked where it is ids along an axis that encode chooses."""
    chosen = dtype == "int64" and not value.is_state and any(map(_encodes, value.dims))
    return replace(value, meaning=Meaning(_IDS)) if chosen else value


def count_up(end: int | Size, what: str) -> Value:
    """Return the places along an axis, from 0 on, of its own size."""
    if not isinstance(end, Size) or len(end.dim) != 1:
        raise SizeError(f"{what} counts to {end}, expected the size of one axis")
    if end.dim != _ROWS and not _encodes(end.dim):
        raise SizeError(f"{what} counts to the size of an axis")
    return Value((end.dim,), meaning=Meaning(_PLACE, end.dim))


def follow(
    word: str | None,
    values: Values,
    what: str,
    otherwise: Callable[[], Any],
    axes: Sequence[int] = (),
) -> Any:
    """Return what an operator makes: by the rules here where its inputs mean something, else what
    ``otherwise`` gives.

    Args:
        word: what the operator does, as ``RULES``, ``MOVES`` and ``SHAPE`` name it; None of others.
        values: what goes in; None where an input is left out.
        what: the operator, in words.
        otherwise: the rule of shapes.
        axes: along which it goes, of those that go along any.

    Raises:
        SizeError: a place meets a number.
        UnknownError: counts or places are used as data.
    """
    meant = [value.meaning for value in values if value is not None and value.meaning is not None]
    if word in RULES:
        found = RULES[word](values, what, axes)
        if found is not None:
            return found
    if word == MOVES and values and values[0] is not None:
        moved, meaning = otherwise(), values[0].meaning
        own = meaning is not None and meaning.kind != _WEIGHTS
        return replace(moved, meaning=meaning) if own else moved
    if word != SHAPE:
        for meaning in meant:
            _refuse(meaning, what)
    return otherwise()


def refuse_output(name: str, value: Value) -> None:
    """Raise UnknownError where an output is a count or a place."""
    if value.meaning is not None:
        _refuse(value.meaning, f"the output {name}")


def refuse_written(value: Value, what: str) -> None:
    """Raise UnknownError where an operator writes into what means something."""
    if value.meaning is not None:
        raise UnknownError(
            f"{what} writes into {value.meaning.kind}, so nothing is proved of what it is then"
        )


def _refuse(meaning: Meaning, what: str) -> None:
    if meaning.kind not in _DATA:
        raise UnknownError(
            f"{what} takes {meaning.kind} along the axis {show(meaning.axis)} as data, so nothing "
            "is proved of other sizes"
        )


def _encodes(found: Dim) -> bool:
    return len(found) == 1 and is_open(found) and not is_callers(found)


def _number(value: Value | None) -> Any:
    """Return the one known element of a value; None where it is not known."""
    if value is None or value.known is None or value.known.size != 1:
        return None
    return value.known.item()


def _kind(value: Value | None) -> str | None:
    return value.meaning.kind if value is not None and value.meaning is not None else None


def _made(values: Values, meaning: Meaning) -> Value:
    return Value(broadcast([v.dims for v in values if v is not None]), meaning=meaning)


def _padding(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """Ids that are compared with 0, as is or is not."""
    for ids, other in (values, values[::-1]):
        if _kind(ids) == _IDS and _number(other) == 0:
            return _made(values, Meaning(_TRUTH))
    return None


def _masks(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    if all(_kind(value) in _MASKS for value in values):
        return _made(values, Meaning(_TRUTH))
    return None


def _below(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    left, right = values[0], values[1]
    for place, other in ((left, right), (right, left)):
        if _kind(place) in {_PLACE, _INSIDE} and _number(other) is not None:
            raise SizeError(f"{what} compares places along an axis with {_number(other)}")
    a, b = (value.meaning if value else None for value in (left, right))
    if a and b and (a.kind, b) == (_PLACE, Meaning(_COUNT, a.axis)):
        return _made(values, Meaning(_WITHIN, a.axis))
    return None


def _minus(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    left, number = values[0], _number(values[1])
    a, b = (value.meaning if value else None for value in values[:2])
    if left is None or a is None or a.kind != _COUNT:
        return None
    if isinstance(number, int | float) and number == int(number):
        return _made(values, replace(a, shift=a.shift - int(number)))
    if b == Meaning(_PLACE, a.axis) and a.shift == -1:
        return _made(values, Meaning(_BACK, a.axis))
    return None


def _at_least(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    meaning = values[0].meaning if values[0] else None
    open_above = all(value is None for value in values[2:])
    if meaning is None or meaning != Meaning(_COUNT, meaning.axis, -1):
        return None
    if not open_above or _number(values[1]) != 0:
        return None
    return _made(values[:2], Meaning(_INSIDE, meaning.axis))  # the first of an empty row


def _choose(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    condition, left, right = values
    if condition is None or _kind(condition) not in _MASKS or left is None or right is None:
        return None
    if (a := left.meaning) is not None and (b := right.meaning) is not None:
        own = {_INSIDE, _PLACE}
        turned = a.kind == _BACK and condition.meaning == Meaning(_WITHIN, a.axis)
        if (turned or a.kind in own) and b.kind in own and a.axis == b.axis:
            return _made(values, Meaning(_INSIDE, a.axis))
    for value in (left, right):
        if value.meaning is not None:
            _refuse(value.meaning, what)
    return rules.elementwise([condition, left, right], None, what)


def _fill(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """``values`` are what is filled, where, and with what."""
    return _choose([values[1], values[0], values[2]], what, axes)


def _times(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    for place, other in ((values[0], values[1]), (values[1], values[0])):
        number = _number(other)
        if _kind(place) != _PLACE or number is None:
            continue
        assert place is not None
        assert place.meaning is not None
        if not isinstance(number, Size):
            raise SizeError(f"{what} multiplies places along an axis by {number}, which is no size")
        if place.meaning.axis == _ROWS and _encodes(number.dim):
            return _made(values, Meaning(_START, number.dim))
    return None


def _plus(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    for start, place in ((values[0], values[1]), (values[1], values[0])):
        if _kind(start) == _START and _kind(place) in {_PLACE, _INSIDE}:
            assert start is not None
            assert start.meaning is not None
            assert place is not None
            assert place.meaning is not None
            if place.meaning.axis == start.meaning.axis:
                return _made(values, Meaning(_FLAT, place.meaning.axis))
    return None


def _sum(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """How many ids of a row there are; ``axes`` are one, and whether it is kept."""
    value = values[0]
    if value is None or _kind(value) not in _MASKS or len(axes) != 2:
        return None
    axis = value.axis(axes[0])
    own = value.dims[axis]
    if not _encodes(own):
        return None
    kept = [(), *value.dims[axis + 1 :]] if axes[1] else value.dims[axis + 1 :]
    return Value((*value.dims[:axis], *kept), meaning=Meaning(_COUNT, own))


def _take(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """Vectors of all rows by an index that stays within each."""
    value, index = values[0], values[1]
    if value is None or index is None or index.meaning is None or index.meaning.kind != _FLAT:
        return None
    axis = value.axis(axes[0])
    if value.dims[axis] != joined((_ROWS, index.meaning.axis)):
        raise SizeError(
            f"{what} takes along the axis {show(value.dims[axis])} by places of rows of "
            f"{show(index.meaning.axis)}"
        )
    return Value((*value.dims[:axis], *index.dims, *value.dims[axis + 1 :]))


def _softmax(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    value = values[0]
    if value is None or value.axis(axes[0]) != value.rank - 1 or not _encodes(value.dims[-1]):
        return None
    if value.meaning is not None:
        _refuse(value.meaning, what)
    return Value(value.dims, meaning=Meaning(_WEIGHTS, value.dims[-1]))


def _product(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """A sum by the weights of a softmax, along its axis."""
    left, right = values[0], values[1]
    if left is None or right is None or right.rank < 2 or left.rank < 2:
        return None
    if _kind(left) != _WEIGHTS or right.dims[-2] != left.dims[-1]:
        return None
    if right.meaning is not None:
        _refuse(right.meaning, what)
    rows = broadcast([left.dims[:-2], right.dims[:-2]]) if left.rank + right.rank > 4 else ()
    return Value((*rows, left.dims[-2], right.dims[-1]))


def _cast(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """Another type; ``axes`` is 1 where it has every id and count."""
    value = values[0]
    if value is None or value.meaning is None:
        return None
    if not axes[0]:
        _refuse(value.meaning, what)
    return replace(value, meaning=value.meaning if axes[0] else None)


MOVES, SHAPE = "moves", "shape"  # the words of operators that move elements, and read sizes
RULES: dict[str, Rule] = {
    "equal": _padding,
    "mask": _masks,
    "below": _below,
    "above": lambda values, what, axes: _below(values[::-1], what, axes),
    "minus": _minus,
    "at least": _at_least,
    "choose": _choose,
    "fill": _fill,
    "times": _times,
    "plus": _plus,
    "sum": _sum,
    "take": _take,
    "softmax": _softmax,
    "product": _product,
    "cast": _cast,
}
