"""What torch's operators that move elements, or give a tensor another shape, do to shapes; see
``shape_moves``.

Each takes the operator's arguments by the names of torch's own schema, and what the operator is
called in errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgernn.parity.structure import shape_moves
from edgernn.parity.structure.sizes import (
    ONE,
    Dim,
    Size,
    SizeError,
    Value,
    closed,
    dim,
    joined,
    known,
    size_of,
)

Arguments = Mapping[str, Any]
Handler = Callable[[Arguments, str], Any]


def value_of(content: Any) -> Value:
    """Return a number or a size as a tensor of no axes."""
    return content if isinstance(content, Value) else known(np.array(content, object))


def same(given: Arguments, what: str) -> Value:
    """Leave each element where it is."""
    value: Value = given["self"] if "self" in given else given["input"]
    if value.has_size:
        raise SizeError(f"{what} computes with the size of an axis")
    return value


def sizes_of(given: Any, what: str) -> list[Any]:
    """Return sizes as numbers; raise SizeError where one is computed from data."""
    found = [
        size.known.item() if isinstance(size, Value) and size.known is not None else size
        for size in given
    ]
    if any(isinstance(size, Value) for size in found):
        raise SizeError(f"{what} takes a shape that is computed from data")
    return found


def size(given: Arguments, what: str) -> Any:
    """Return the size of one axis, or of all."""
    sizes = [size_of(own) for own in given["self"].dims]
    return sizes if given.get("dim") is None else sizes[given["dim"]]


def filled(given: Arguments, what: str) -> Value:
    """Make a tensor of one value, of a given shape."""
    return Value(tuple(map(dim, sizes_of(given["size"], what))))


def like(given: Arguments, what: str) -> Value:
    """Make a tensor of another one's shape."""
    return Value(given["self"].dims)


def view(given: Arguments, what: str) -> Value:
    """Give the same elements another shape."""
    return shape_moves.reshape(
        given["self"], sizes_of(given["size"] if "size" in given else given["shape"], what)
    )


def flatten(given: Arguments, what: str) -> Value:
    """Make one axis of several."""
    value, start, end = (
        given["self"],
        given["self"].axis(given["start_dim"]),
        given["self"].axis(given["end_dim"]),
    )
    return Value((*value.dims[:start], joined(value.dims[start : end + 1]), *value.dims[end + 1 :]))


def transpose(given: Arguments, what: str) -> Value:
    """Exchange two axes."""
    value = given["self"]
    order = list(range(value.rank))
    a, b = (given["dim0"], given["dim1"]) if "dim0" in given else (0, value.rank - 1)
    order[value.axis(a)], order[value.axis(b)] = order[value.axis(b)], order[value.axis(a)]
    return shape_moves.transpose(value, order)


def permute(given: Arguments, what: str) -> Value:
    """Put the axes in another order."""
    return shape_moves.transpose(
        given["self"], [given["self"].axis(axis) for axis in given["dims"]]
    )


def select(given: Arguments, what: str) -> Value:
    """Take the elements at one place of an axis."""
    return shape_moves.take(given["self"], value_of(given["index"]), given["dim"], what)


def cut(given: Arguments, what: str) -> Value:
    """Take a range along an axis."""
    start, end = given["start"] or 0, given["end"] if given["end"] is not None else 1 << 62
    return shape_moves.cut(given["self"], given["dim"], start, end, what, step=given["step"])


def squeeze(given: Arguments, what: str) -> Value:
    """Take out axes of one element."""
    axes = given.get("dim")
    if (
        isinstance(axes, int)
        and given["self"].dims[axes] != ONE
        and not _is_open(given["self"].dims[axes])
    ):
        return same(given, what)  # torch leaves an axis that has more than one element
    return shape_moves.squeeze(given["self"], [axes] if isinstance(axes, int) else axes)


def _is_open(found: Dim) -> bool:
    return isinstance(size_of(found), Size)


def chunk(given: Arguments, what: str) -> list[Value]:
    """Cut into a number of parts along an axis."""
    axis = given["self"].axis(given["dim"])
    closed(given["self"].dims, [axis], what)
    whole, parts = size_of(given["self"].dims[axis]), given["chunks"]
    assert isinstance(whole, int)
    return _pieces(given["self"], axis, whole, -(-whole // parts), what)


def split(given: Arguments, what: str) -> list[Value]:
    """Cut into parts of given sizes along an axis."""
    axis = given["self"].axis(given["dim"])
    if "split_sizes" in given:
        return shape_moves.split(given["self"], axis, sizes_of(given["split_sizes"], what), what)
    closed(given["self"].dims, [axis], what)
    whole = size_of(given["self"].dims[axis])
    assert isinstance(whole, int)
    return _pieces(given["self"], axis, whole, given["split_size"], what)


def _pieces(value: Value, axis: int, whole: int, each: int, what: str) -> list[Value]:
    sizes = [min(each, whole - start) for start in range(0, whole, each)]
    return shape_moves.split(value, axis, sizes, what)


def stack(given: Arguments, what: str) -> Value:
    """Join along a new axis."""
    values = [shape_moves.unsqueeze(value, [given["dim"]]) for value in given["tensors"]]
    return shape_moves.concat(values, given["dim"], what)


def pad(given: Arguments, what: str) -> Value:
    """Put elements around the last axes; one that grows must not be open."""
    value, around = given["self"], sizes_of(given["pad"], what)
    dims = list(value.dims)
    for place in range(len(around) // 2):
        axis, added = value.rank - 1 - place, around[2 * place] + around[2 * place + 1]
        if added:
            closed(value.dims, [axis], what)
            dims[axis] = dim(size_of(dims[axis]) + added)
    return Value(tuple(dims))
