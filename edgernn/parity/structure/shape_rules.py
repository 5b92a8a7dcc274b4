"""What the kinds of operators do to shapes, whatever a format calls them: the rules of ``sizes``
applied.

Each takes values and gives values; each raises SizeError where it would mix what lies along an open
axis, or would compute with the size of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

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
    product,
    show,
    size_of,
    with_past,
)


def elementwise(values: Sequence[Value], fold: Callable[..., Any] | None, what: str) -> Value:
    """Compute each element from those at the same place; ``fold`` does so for known ones.

    Raises:
        SizeError: a size meets data, or is computed with as ``fold`` does not know.
    """
    if fold is not None and all(value.known is not None for value in values):
        folded = np.frompyfunc(_following(fold, what), len(values), 1)(
            *(value.known for value in values)
        )
        return known(folded if isinstance(folded, np.ndarray) else np.array(folded, object))
    for value in values:
        if value.has_size:
            raise SizeError(f"{what} computes with the size of an axis")
    return Value(broadcast([value.dims for value in values]))


def decided(values: Sequence[Value], fold: Callable[..., Any] | None, what: str) -> Value:
    """Compare, choose or round, as ``elementwise``; raise UnknownError where data decides, for no
    sample meets all data.
    """
    made = elementwise(values, fold, what)
    if made.known is None:
        raise UnknownError(
            f"{what} decides by ids or states, so nothing is proved of those that no run meets"
        )
    return made


def _following(fold: Callable[..., Any], what: str) -> Callable[..., Any]:
    def follow(*given: Any) -> Any:
        try:
            return fold(*given)
        except (TypeError, ZeroDivisionError) as error:
            raise SizeError(f"{what} computes with the size of an axis") from error

    return follow


def times(left: Any, right: Any) -> Any:
    """Multiply sizes and numbers."""
    return (
        product(left, right) if isinstance(left, Size) or isinstance(right, Size) else left * right
    )


def equal(left: Any, right: Any) -> bool:
    """Compare; a size is at least 1, and what is not decided by that raises SizeError."""
    return left == right if left == right or not _undecided(left, right) else _refuse(left, right)


def above(left: Any, right: Any) -> bool:
    """Return whether ``left`` is larger; as ``equal``."""
    if isinstance(left, Size) and not isinstance(right, Size) and right < 1:
        return True
    if isinstance(right, Size) and not isinstance(left, Size) and left < 1:
        return False
    if isinstance(left, Size) or isinstance(right, Size):
        return _refuse(left, right)
    return bool(left > right)


def _undecided(left: Any, right: Any) -> bool:
    numbers = [entry for entry in (left, right) if not isinstance(entry, Size)]
    return len(numbers) < 2 and not any(number < 1 for number in numbers)


def _refuse(left: Any, right: Any) -> bool:
    raise SizeError(f"it compares {left} with {right}: what it does depends on a size")


def choose(condition: Any, left: Any, right: Any) -> Any:
    """Return ``left`` where the condition, which is known, holds."""
    return left if condition else right


def reduce(value: Value, axes: Sequence[int], what: str, *, keep: bool) -> Value:
    """Make one element of those along axes, which must not be open."""
    if value.has_size:
        raise SizeError(f"{what} computes with the size of an axis")
    places = {value.axis(axis) for axis in axes}
    closed(value.dims, places, what)
    kept = (
        (ONE if axis in places else own)
        for axis, own in enumerate(value.dims)
        if keep or axis not in places
    )
    return Value(tuple(kept))


def along(value: Value, axes: Sequence[int], what: str) -> Value:
    """Compute each element from those along axes, which must not be open, as a softmax does."""
    reduce(value, axes, what, keep=True)
    return Value(value.dims)


def matmul(left: Value, right: Value, what: str) -> Value:
    """Multiply matrices, over any number of axes before them."""
    if left.has_size or right.has_size:
        raise SizeError(f"{what} computes with the size of an axis")
    a = left.dims if left.rank > 1 else (ONE, *left.dims)
    b = right.dims if right.rank > 1 else (*right.dims, ONE)
    closed(a, [len(a) - 1], what)
    if a[-1] != b[-2]:
        raise SizeError(f"{what} multiplies along {show(a[-1])} and {show(b[-2])}")
    dims = [*broadcast([a[:-2], b[:-2]])] if a[:-2] or b[:-2] else []
    return Value((*dims, *([a[-2]] if left.rank > 1 else []), *([b[-1]] if right.rank > 1 else [])))


def convolve(
    value: Value,
    spatial: Sequence[tuple[int, int, int, int, bool]],
    channels: int | None,
    what: str,
) -> Value:
    """Slide a window over the last axes.

    Args:
        value: ``[N, C, …]``.
        spatial: for each axis: the window, its step, the padding before and after, and whether what
            is left over counts.
        channels: those of the result; None keeps them.
        what: the operator.
    """
    alone = (1, 1, 0, 0)  # each place by itself: nothing meets
    mixed = [
        place
        for place, own in enumerate(spatial, 2)
        if own[:4] != alone and not _looks_back(value.dims[place], *own[:4])
    ]
    closed(value.dims, [1, *mixed], what)
    out: list[Dim] = []
    for own, (window, step, before, after, up) in zip(value.dims[2:], spatial, strict=True):
        if (window, step, before, after) == alone:
            out.append(own)
            continue
        if (past := past_in(own)) is not None:
            out.append(with_past(past - window + 1))
            continue
        size = size_of(own)
        assert isinstance(size, int)
        room = size + before + after - window
        out.append(dim(-(-room // step) + 1 if up else room // step + 1))
    return Value((value.dims[0], value.dims[1] if channels is None else dim(channels), *out))


def _looks_back(own: Dim, window: int, step: int, before: int, after: int) -> bool:
    """Whether a window over time sees no frame after its own: it ends there, as enough frames of
    the past lie in front.
    """
    past = past_in(own)
    return past is not None and (step, before, after) == (1, 0, 0) and past >= window - 1


def recurrent(
    x: Value, states: Sequence[Value], what: str, *, batch_axis: int, time_axis: int
) -> list[Value]:
    """Return the states that a recurrent layer leaves; it goes along time alone, one way, each row
    by itself.

    Where time is open it must go on from a state of the contract: a layer that began anew would
    count the steps of a call.
    """
    time, batch = x.dims[time_axis], x.dims[batch_axis]
    closed(x.dims, [2], what)
    if "batch" in time:
        raise SizeError(
            f"{what} goes along the axis {show(time)}: one row's result depends on the rows "
            "before it"
        )
    for state in states:
        if state.dims[1] != batch:
            raise SizeError(
                f"{what} has an input of {show(batch)} rows and a state of {show(state.dims[1])}"
            )
        if is_open(time) and (state.part is None or state.part.after):
            raise SizeError(f"{what} does not go on from a state that the contract gives")
    if is_open(time) and not states:
        raise SizeError(
            f"{what} begins anew at every call, so what it gives depends on how a text is cut"
        )
    return [
        Value(state.dims, part=state.part and replace(state.part, after=True)) for state in states
    ]


def within(x: Value, states: Sequence[Value], what: str, *, batch_axis: int) -> None:
    """Check a recurrent layer over an axis of a frame, one way or both: each frame by itself."""
    closed(x.dims, [2], what)
    if any(state.dims[1] != x.dims[batch_axis] for state in states):
        raise SizeError(f"{what} has states of another number of rows than its input")


def input_value(name: str, dims: Dims, *, is_state: bool) -> Value:
    """Return what is known of an input of the graph; of a state, that all its layers are there: one
    where its first axis is open.
    """
    layers = size_of(dims[0]) if dims else 1
    whole = StatePart(name, 0, layers if isinstance(layers, int) else 1)
    return Value(dims, part=whole if is_state else None, is_state=is_state)


def unknown(what: str) -> UnknownError:
    """Return the error for an operator that these rules do not cover."""
    return UnknownError(
        f"the reader of structures does not know {what}, so nothing is proved of this file"
    )
