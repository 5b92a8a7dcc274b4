"""What operators make of ids along an axis that ``encode`` chooses, of counts of them and of places
along it: a rule for each word of ``RULES``; see ``places``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from edgernn.contract import BATCH
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.sizes import (
    ONE,
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
    size_of,
)

IDS, _TRUTH = "ids", "a mask of ids"
_WITHIN = "whether a place is before the end of its row"
PLACE, _COUNT = "places", "a count of ids"
_BACK = "places from the end of a row"
_INSIDE = "places within a row"
_START = "where rows start"
_FLAT = "places within all rows"
WEIGHTS = "weights of a softmax"
_DATA = frozenset((IDS, _TRUTH, _WITHIN, WEIGHTS))  # which any operator may take
_MASKS = frozenset((_TRUTH, _WITHIN))
ROWS: Dim = (BATCH,)
_NO_PLACE = 1 << 31
Values = Sequence[Value | None]
Rule = Callable[[Values, str, Sequence[int]], Value | None]


def refuse(meaning: Meaning, what: str) -> None:
    """Raise UnknownError where ``what`` takes as data what is none."""
    if meaning.kind not in _DATA:
        raise UnknownError(
            f"{what} takes {meaning.kind} along the axis {show(meaning.axis)} as data, so nothing "
            "is proved of other sizes"
        )


def encodes(found: Dim) -> bool:
    """Return whether it is one open axis, whose size ``encode`` chooses."""
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


def _placed(values: Values) -> Values:
    """Return the values of an operator, with a constant that counts up along the last axis, as long
    as the length of another's ids, marked as the places along it; an open length has no constant.
    """
    lengths = {v.meaning.axis for v in values if v is not None and v.meaning is not None}
    return [_place_of(value, lengths) for value in values]


def _place_of(value: Value | None, lengths: Collection[Dim]) -> Value | None:
    if value is None or value.meaning is not None or value.known is None or not value.rank:
        return value
    length = value.dims[-1]
    counts_up = [*value.known.ravel()] == [*range(value.known.size)]
    if length == ONE or length not in lengths or (value.known.size,) != length or not counts_up:
        return value
    return replace(value, meaning=Meaning(PLACE, length))


def _rows_from(start: Value | None, place: Value | None) -> Dim | None:
    """Return the size of all rows together where ``start`` is where each begins, of places
    ``place`` within one; None where it is not.
    """
    if start is None or place is None or place.meaning is None:
        return None
    length = place.meaning.axis
    if start.meaning == Meaning(_START, length):
        return joined((ROWS, length))
    size = size_of(length)
    if start.known is None or isinstance(size, Size) or start.rank != 2 or start.dims[1] != ONE:
        return None
    begins = [*start.known.ravel()] == [row * size for row in range(start.known.size)]
    return joined((start.dims[0], length)) if begins and place.dims[0] == start.dims[0] else None


def _padding(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """Ids that are compared with 0, as is or is not."""
    for ids, other in (values, values[::-1]):
        if _kind(ids) == IDS and _number(other) == 0:
            assert ids is not None
            assert ids.meaning is not None
            return _made(values, Meaning(_TRUTH, ids.meaning.axis))
    return None


def _masks(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    meant = [value.meaning for value in values if value is not None and value.meaning is not None]
    if len(meant) == len(values) and all(meaning.kind in _MASKS for meaning in meant):
        return _made(values, Meaning(_TRUTH, meant[0].axis))
    return None


def _below(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    left, right = _placed(values)
    for place, other in ((left, right), (right, left)):
        if _kind(place) in {PLACE, _INSIDE} and _number(other) is not None:
            raise SizeError(f"{what} compares places along an axis with {_number(other)}")
    a, b = (value.meaning if value else None for value in (left, right))
    if a and b and (a.kind, b) == (PLACE, Meaning(_COUNT, a.axis)):
        return _made(values, Meaning(_WITHIN, a.axis))
    return None


def _minus(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    left, number = values[0], _number(values[1])
    a, b = (value.meaning if value else None for value in _placed(values[:2]))
    if left is None or a is None or a.kind != _COUNT:
        return None
    if isinstance(number, int | float) and number == int(number):
        return _made(values, replace(a, shift=a.shift - int(number)))
    if b == Meaning(PLACE, a.axis) and a.shift == -1:
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


def _at_most(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """A bound that no place reaches."""
    value, number = values[0], _number(values[1])
    bound = isinstance(number, int | float) and number >= _NO_PLACE
    return value if bound and _kind(value) == _INSIDE else None


def _choose(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    condition, left, right = _placed(values)
    if condition is None or _kind(condition) not in _MASKS or left is None or right is None:
        return None
    if (a := left.meaning) is not None and (b := right.meaning) is not None:
        own = {_INSIDE, PLACE}
        turned = a.kind == _BACK and condition.meaning == Meaning(_WITHIN, a.axis)
        if (turned or a.kind in own) and b.kind in own and a.axis == b.axis:
            return _made(values, Meaning(_INSIDE, a.axis))
    for value in (left, right):
        if value.meaning is not None:
            refuse(value.meaning, what)
    return rules.elementwise([condition, left, right], None, what)


def _fill(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """``values`` are what is filled, where, and with what."""
    return _choose([values[1], values[0], values[2]], what, axes)


def _times(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    for place, other in ((values[0], values[1]), (values[1], values[0])):
        number = _number(other)
        if _kind(place) != PLACE or number is None:
            continue
        assert place is not None
        assert place.meaning is not None
        if not isinstance(number, Size):
            raise SizeError(f"{what} multiplies places along an axis by {number}, which is no size")
        if place.meaning.axis == ROWS and encodes(number.dim):
            return _made(values, Meaning(_START, number.dim))
    return None


def _plus(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    for start, place in ((values[0], values[1]), (values[1], values[0])):
        if _kind(place) not in {PLACE, _INSIDE}:
            continue
        if (rows := _rows_from(start, place)) is not None:
            return _made(values, Meaning(_FLAT, rows))
    return None


def _sum(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """How many ids of a row there are; ``axes`` are one, and whether it is kept."""
    value = values[0]
    if value is None or _kind(value) not in _MASKS or len(axes) != 2:
        return None
    axis = value.axis(axes[0])
    own, meaning = value.dims[axis], value.meaning
    fixed = meaning is not None and own == meaning.axis != ONE and axis == value.rank - 1
    if not encodes(own) and not fixed:
        return None
    kept = [(), *value.dims[axis + 1 :]] if axes[1] else value.dims[axis + 1 :]
    return Value((*value.dims[:axis], *kept), meaning=Meaning(_COUNT, own))


def _take(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """Vectors of all rows by an index that stays within each."""
    value, index = values[0], values[1]
    if value is None or index is None or index.meaning is None or index.meaning.kind != _FLAT:
        return None
    axis = value.axis(axes[0])
    if value.dims[axis] != index.meaning.axis:
        raise SizeError(
            f"{what} takes along the axis {show(value.dims[axis])} by places within rows of "
            f"{show(index.meaning.axis)} together"
        )
    return Value((*value.dims[:axis], *index.dims, *value.dims[axis + 1 :]))


def _softmax(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    value = values[0]
    if value is None or value.axis(axes[0]) != value.rank - 1 or not encodes(value.dims[-1]):
        return None
    if value.meaning is not None:
        refuse(value.meaning, what)
    return Value(value.dims, meaning=Meaning(WEIGHTS, value.dims[-1]))


def _product(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """A sum by the weights of a softmax, along its axis."""
    left, right = values[0], values[1]
    if left is None or right is None or right.rank < 2 or left.rank < 2:
        return None
    if _kind(left) != WEIGHTS or right.dims[-2] != left.dims[-1]:
        return None
    if right.meaning is not None:
        refuse(right.meaning, what)
    rows = broadcast([left.dims[:-2], right.dims[:-2]]) if left.rank + right.rank > 4 else ()
    return Value((*rows, left.dims[-2], right.dims[-1]))


def _cast(values: Values, what: str, axes: Sequence[int]) -> Value | None:
    """Another type; ``axes`` is 1 where it has every id and count."""
    value = values[0]
    if value is None or value.meaning is None:
        return None
    if not axes[0]:
        refuse(value.meaning, what)
    return replace(value, meaning=value.meaning if axes[0] else None)


RULES: dict[str, Rule] = {
    "equal": _padding,
    "mask": _masks,
    "below": _below,
    "above": lambda values, what, axes: _below(values[::-1], what, axes),
    "minus": _minus,
    "at least": _at_least,
    "at most": _at_most,
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
