"""What operators that move values do to shapes, whatever a format calls them: reshape, join, cut,
take.

As the rules of ``shape_rules``, each raises SizeError where it would mix what lies along an open
axis, or would cut or join by the size of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgernn.contract import TIME
from edgernn.parity.structure.sizes import (
    ONE,
    Dim,
    Dims,
    Size,
    SizeError,
    StatePart,
    UnknownError,
    Value,
    broadcast,
    closed,
    dim,
    is_open,
    known,
    past_in,
    reshaped,
    show,
    size_of,
    with_past,
)

_FULL = 1 << 31  # a slice that ends there ends nowhere


def shape_of(value: Value, start: int = 0, end: int | None = None) -> Value:
    """Return the sizes of the axes."""
    found = [size_of(own) for own in value.dims[start:end]]
    array = np.empty(len(found), object)
    array[:] = found
    return known(array)


def filled(shape: Value, fill: Any, what: str) -> Value:
    """Return a tensor of one value throughout, of a shape that is known."""
    sizes = elements(shape, what)
    if (
        all(isinstance(size, int) for size in sizes)
        and len(sizes) < 2
        and (not sizes or sizes[0] <= 64)
    ):
        return known(np.full(sizes, fill, object))
    return Value(tuple(map(dim, sizes)))


def elements(value: Value, what: str) -> list[Any]:
    """Return known elements; raise SizeError where they are computed from data."""
    if value.known is None:
        raise SizeError(f"{what} takes a shape or a place that is computed from data")
    return list(value.known.ravel())


def reshape(value: Value, targets: Sequence[Any]) -> Value:
    """Give the same elements another shape."""
    if value.known is not None and all(isinstance(size, (int, np.integer)) for size in targets):
        return known(value.known.reshape([int(size) for size in targets]))
    sizes = [
        size_of(value.dims[i]) if isinstance(size, (int, np.integer)) and size == 0 else size
        for i, size in enumerate(targets)
    ]
    dims = reshaped(value.dims, sizes)
    return Value(dims, part=_in_order(value, dims))


def _in_order(value: Value, dims: Dims) -> StatePart | None:
    """Return which layers of a state are left of ``value`` in another shape, its elements in the
    same order: one layer is one layer in any shape, several lie along the first axis.
    """
    part = value.part
    one = part is not None and part.stop - part.start == 1
    return part if one or dims[:1] == value.dims[:1] else None


def transpose(value: Value, order: Sequence[int]) -> Value:
    """Put the axes in another order."""
    if value.known is not None:
        return known(value.known.transpose(order))
    dims = tuple(value.dims[axis] for axis in order)
    own = [axis for axis in order if value.dims[axis] != ONE]
    return Value(dims, part=_in_order(value, dims) if own == sorted(own) else None)


def expand(value: Value, sizes: Sequence[Any], *, keep: int | None = None) -> Value:
    """Repeat along axes of one element; a size of ``keep`` leaves an axis as it is."""
    rank = max(value.rank, len(sizes))
    own = (ONE,) * (rank - value.rank) + value.dims
    given = [1] * (rank - len(sizes)) + list(sizes)
    wanted = tuple(
        mine if keep is not None and size == keep else dim(size)
        for mine, size in zip(own, given, strict=True)
    )
    return Value(broadcast([own, wanted]))


def concat(values: Sequence[Value], axis: int, what: str) -> Value:
    """Join along an axis, which must not be open."""
    if all(value.known is not None for value in values):
        return known(np.concatenate([value.known for value in values], axis))
    if any(value.has_size for value in values):
        raise SizeError(f"{what} joins data with the size of an axis")
    axis = values[0].axis(axis)
    whole = broadcast([(*value.dims[:axis], ONE, *value.dims[axis + 1 :]) for value in values])
    if (past := _past_in_front(values, axis, what)) is not None:
        line = values[0].part if len(values) == 2 else None
        return Value((*whole[:axis], with_past(past), *whole[axis + 1 :]), past=line)
    for value in values:
        closed(value.dims, [axis], what)
    sizes = [size_of(value.dims[axis]) for value in values]
    count = sum(size for size in sizes if isinstance(size, int))
    return Value(
        (*whole[:axis], dim(count), *whole[axis + 1 :]),
        part=_joined_part(values) if axis == 0 else None,
    )


def _past_in_front(values: Sequence[Value], axis: int, what: str) -> int | None:
    """Return how many frames that came before are put in front of those of a call, as a convolution
    over time does that keeps its past as state; None where the axis is another.
    """
    *before, last = values
    sizes = [size_of(value.dims[axis]) for value in before]
    if last.dims[axis] != (TIME,) or not before or any(isinstance(s, Size) for s in sizes):
        return None
    if all(value.is_state for value in before):
        return sum(size for size in sizes if isinstance(size, int))
    raise UnknownError(
        f"{what} puts what is no state in front of the frames of the call; how calls are cut is "
        "compared by running them, and beyond that nothing is proved of this file"
    )


def _joined_part(values: Sequence[Value]) -> StatePart | None:
    """Return the layers that are joined, where they are those of one state that follow one
    another.
    """
    parts = [value.part for value in values]
    whole = parts[0]
    for part in parts[1:]:
        if (
            whole is None
            or part is None
            or part != replace(part, state=whole.state, start=whole.stop, after=whole.after)
        ):
            return None
        whole = replace(whole, stop=part.stop)
    return whole


def _cut_part(value: Value, start: int, count: int) -> StatePart | None:
    """Return which layers of a state are left of ``count`` of them from ``start`` on."""
    part = value.part
    return (
        None
        if part is None
        else replace(part, start=part.start + start, stop=part.start + start + count)
    )


def take(value: Value, index: Value, axis: int, what: str) -> Value:
    """Take elements along an axis, which must not be open, by an index of any shape."""
    axis = value.axis(axis)
    if value.known is not None and index.known is not None:
        return known(np.array(np.take(value.known, index.known.astype(np.int64), axis), object))
    if index.has_size or value.has_size:
        raise SizeError(f"{what} takes by, or from, the size of an axis")
    closed(value.dims, [axis], what)
    part = None
    if axis == 0 and index.known is not None and index.rank == 0 and int(index.known.item()) >= 0:
        part = _cut_part(value, int(index.known.item()), 1)
    return Value((*value.dims[:axis], *index.dims, *value.dims[axis + 1 :]), part=part)


def cut(value: Value, axis: int, start: Any, end: Any, what: str, *, step: int = 1) -> Value:
    """Take a range along an axis; of an open one only all of it."""
    axis = value.axis(axis)
    own = value.dims[axis]
    whole = (
        start == 0
        and step == 1
        and (end == size_of(own) or (not isinstance(end, Size) and end >= _FULL))
    )
    if whole:
        return value
    if (past := past_in(own)) is not None and step == 1:
        left = _cut_past(past, start, end, what)
        newest = value.past is not None and left == dim(past)  # what the next call has in front
        return Value(
            (*value.dims[:axis], left, *value.dims[axis + 1 :]),
            part=replace(value.past, after=True) if newest and value.past else None,
        )
    if isinstance(start, Size) or isinstance(end, Size):
        raise SizeError(f"{what} cuts at the size of an axis")
    if value.known is not None:
        places = [slice(None)] * value.rank
        places[axis] = slice(start, max(min(end, _FULL), -_FULL), step)
        return known(value.known[tuple(places)])
    closed(value.dims, [axis], what)
    size = size_of(own)
    assert isinstance(size, int)
    kept = range(size)[slice(start, None if step < 0 and end < -size else end, step)]
    part = _cut_part(value, kept.start, len(kept)) if axis == 0 and step == 1 else None
    return Value((*value.dims[:axis], dim(len(kept)), *value.dims[axis + 1 :]), part=part)


def _cut_past(past: int, start: Any, end: Any, what: str) -> Dim:
    """Return the size of a range of time with ``past`` frames in front of it.

    Raises:
        SizeError: it begins after the past, so that its elements hang on later frames.
        UnknownError: it is neither the newest frames, a state, nor frames in their order.
    """
    ended = isinstance(end, Size)
    if start == 0 and ended and end == size_of((TIME,)):
        return (TIME,)  # as many as came, late by all of the past
    if isinstance(start, int) and not ended:
        if start < 0 and end >= _FULL and -start <= past + 1:
            return dim(-start)
        left = past - start + (0 if end >= _FULL else min(end, 0))
        if start > past:
            raise SizeError(f"{what} takes frames that come after their own")
        if start >= 0 and left >= 0 and (end < 0 or end >= _FULL):
            return with_past(left)
    raise UnknownError(
        f"{what} cuts frames with their past in front in a way that this reader cannot follow, so "
        "nothing is proved of this file"
    )


def split(value: Value, axis: int, sizes: Sequence[int], what: str) -> list[Value]:
    """Cut into parts along an axis, which must not be open."""
    axis = value.axis(axis)
    if value.known is not None:
        return [known(part) for part in np.split(value.known, np.cumsum(sizes)[:-1], axis)]
    closed(value.dims, [axis], what)
    if sum(sizes) != size_of(value.dims[axis]):
        raise SizeError(f"{what} cuts {show(value.dims[axis])} into {list(sizes)}")
    return [
        Value(
            (*value.dims[:axis], dim(size), *value.dims[axis + 1 :]),
            part=_cut_part(value, sum(sizes[:place]), size) if axis == 0 else None,
        )
        for place, size in enumerate(sizes)
    ]


def squeeze(value: Value, axes: Sequence[int] | None) -> Value:
    """Take out axes of one element; those of a stated size, where none are named."""
    if axes is None:
        if any(is_open(own) for own in value.dims):
            raise SizeError("a squeeze without axes gives another shape at another size")
        axes = [axis for axis, own in enumerate(value.dims) if own == ONE]
    places = {value.axis(axis) for axis in axes}
    if value.known is not None:
        return known(np.squeeze(value.known, tuple(places)))
    for place in places:
        if value.dims[place] != ONE:
            raise SizeError(
                f"a squeeze takes out an axis of {show(value.dims[place])}, which is 1 at one "
                "size alone"
            )
    dims = tuple(own for axis, own in enumerate(value.dims) if axis not in places)
    return Value(dims, part=_in_order(value, dims))


def unsqueeze(value: Value, axes: Sequence[int]) -> Value:
    """Put in axes of one element, at places of the result."""
    rank = value.rank + len(axes)
    places = {axis + rank if axis < 0 else axis for axis in axes}
    rest = iter(value.dims)
    dims = tuple(ONE if place in places else next(rest) for place in range(rank))
    if value.known is not None:
        return known(np.expand_dims(value.known, tuple(places)))
    return Value(dims, part=_in_order(value, dims))
