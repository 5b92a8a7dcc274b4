"""What ONNX's operators that move elements, or give a tensor another shape, do to shapes; see
``shape_rules``.
"""

from __future__ import annotations

import numpy as np

from edgernn.parity.structure import places, shape_moves
from edgernn.parity.structure.onnx_call import Call
from edgernn.parity.structure.sizes import (
    ONE,
    SizeError,
    Value,
    broadcast,
    closed,
    dim,
    joined,
    known,
    size_of,
)


def gather_elements(call: Call) -> Value:
    """Take one element for each index, along an axis that must not be open."""
    axis = call[0].axis(call.get("axis", 0))
    closed(call[0].dims, [axis], call.what)
    broadcast([own.dims[:axis] + own.dims[axis + 1 :] for own in (call[0], call[1])])
    return Value(call[1].dims)


def scatter(call: Call) -> Value:
    """Put elements where an index says; no axis may be open."""
    closed(call[0].dims, range(call[0].rank), call.what)
    return Value(call[0].dims)


def cut_ranges(call: Call) -> Value:
    """Cut ranges out."""
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes = call.numbers(3, "axes") or list(range(len(starts)))
    steps = call.numbers(4, "steps") or [1] * len(starts)
    value = call[0]
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        value = shape_moves.cut(value, int(axis), start, end, call.what, step=int(step))
    return value


def split(call: Call) -> list[Value]:
    """Cut into parts along an axis."""
    sizes = call.numbers(1, "split")
    if sizes is None:
        axis = call[0].axis(call.get("axis", 0))
        closed(call[0].dims, [axis], call.what)
        whole, parts = (
            size_of(call[0].dims[axis]),
            call.get("num_outputs") or len(call.node.outputs),
        )
        assert isinstance(whole, int)
        each = -(-whole // parts)
        sizes = [min(each, whole - place * each) for place in range(parts)]
    return shape_moves.split(call[0], call.get("axis", 0), sizes, call.what)


def expand(call: Call) -> Value:
    """Repeat along axes of one element."""
    return shape_moves.expand(call[0], shape_moves.elements(call[1], call.what))


def tile(call: Call) -> Value:
    """Repeat whole; an axis that is repeated must not be open."""
    repeats = shape_moves.elements(call[1], call.what)
    closed(
        call[0].dims,
        [axis for axis, count in enumerate(repeats) if count != 1 and call[0].dims[axis] != ONE],
        call.what,
    )
    return Value(
        tuple(
            own if count == 1 else dim(count) if own == ONE else dim(size_of(own) * count)
            for own, count in zip(call[0].dims, repeats, strict=True)
        )
    )


def pad(call: Call) -> Value:
    """Put elements around; an axis that grows must not be open."""
    pads = call.numbers(1, "pads") or []
    axes = call.numbers(3, "axes") or range(call[0].rank)
    dims = list(call[0].dims)
    for place, axis in enumerate(axes):
        added = pads[place] + pads[place + len(pads) // 2]
        if added:
            closed(call[0].dims, [axis], call.what)
            dims[axis] = dim(size_of(dims[axis]) + added)
    return Value(tuple(dims))


def shape(call: Call) -> Value:
    """Return the sizes of the axes."""
    return shape_moves.shape_of(call[0], call.get("start", 0), call.get("end"))


def count(call: Call) -> Value:
    """Return how many elements there are."""
    return known(np.array(size_of(joined(call[0].dims)), object))


def constant_of_shape(call: Call) -> Value:
    """Return one value in a given shape."""
    value = call.get("value")
    return shape_moves.filled(
        call[0], 0.0 if value is None else value.values().ravel()[0].item(), call.what
    )


def count_up(call: Call) -> Value:
    """Count from, to and by numbers that are known, or along an axis."""
    start, end, step = (shape_moves.elements(value, call.what)[0] for value in call.given)
    if any(value.has_size for value in call.given):
        if (start, step) != (0, 1):
            raise SizeError(f"{call.what} counts to the size of an axis")
        return places.count_up(end, call.what)
    return known(np.arange(start, end, step).astype(object))


def squeeze(call: Call) -> Value:
    """Take out axes of one element."""
    return shape_moves.squeeze(call[0], call.numbers(1, "axes"))


def unsqueeze(call: Call) -> Value:
    """Put in axes of one element."""
    return shape_moves.unsqueeze(call[0], call.numbers(1, "axes") or [])


def flatten(call: Call) -> Value:
    """Make two axes of all."""
    axis = call[0].axis(call.get("axis", 1))
    return Value((joined(call[0].dims[:axis]), joined(call[0].dims[axis:])))


def transpose(call: Call) -> Value:
    """Put the axes in another order."""
    return shape_moves.transpose(call[0], call.get("perm") or list(reversed(range(call[0].rank))))
