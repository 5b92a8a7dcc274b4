"""Operators that move elements: views where that is possible, copies where it is not."""

from __future__ import annotations

from math import prod

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.program import Gather, Move
from edgernn.export.to_c.views import View

_DTYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 9: "bool"}


def constant(call: Call) -> View:
    """Return the constant of the attributes."""
    tensor = call.tensor("value")
    if tensor is not None:
        return call.build.constant(tensor)
    for name, kind in (("float", np.float32), ("int", np.int64)):
        for form in (f"value_{name}", f"value_{name}s"):
            if (found := call.get(form)) is not None:
                return call.build.constant(np.array(found, kind))
    raise call.refusal("holds neither a tensor nor numbers")


def filled(call: Call) -> View:
    """Return one value in a given shape."""
    value = call.tensor("value")
    shape = [int(size) for size in call.known(0).ravel()]
    one = np.zeros(1, np.float32) if value is None else value.ravel()[:1]
    return call.build.constant(np.zeros(shape, one.dtype) + one[0])


def shape_of(call: Call) -> View:
    """Return the sizes of the axes, which are fixed."""
    sizes = np.array(call[0].shape, np.int64)
    return call.build.constant(sizes[call.get("start", 0) : call.get("end")])


def count_up(call: Call) -> View:
    """Count from, to and by constants."""
    return call.build.constant(np.arange(*(call.known(place).item() for place in range(3))))


def same(call: Call) -> View:
    """Return what is given."""
    return call[0]


def cast(call: Call) -> View:
    """Return the elements in another dtype."""
    wanted = _DTYPES.get(call.get("to"))
    if wanted is None:
        raise call.refusal(f"casts to the data type {call.get('to')}")
    given = call[0]
    if given.dtype == wanted:
        return given
    return call.build.pointwise("truth" if wanted == "bool" else "cast", given, dtype=wanted)


def reshape(call: Call) -> View:
    """Return the elements under another shape."""
    given, sizes = call[0], [int(size) for size in call.known(1).ravel()]
    if not call.get("allowzero", 0):
        sizes = [given.shape[at] if size == 0 else size for at, size in enumerate(sizes)]
    if -1 in sizes:
        rest = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = given.size // rest if rest else 0
    if prod(sizes) != given.size:
        raise call.refusal(f"makes {sizes} of {list(given.shape)}")
    return call.build.reshaped(given, sizes)


def flatten(call: Call) -> View:
    """Make two axes of all."""
    given = call[0]
    axis = call.axis(1, given.rank)
    return call.build.reshaped(given, [prod(given.shape[:axis]), prod(given.shape[axis:])])


def squeeze(call: Call) -> View:
    """Take out axes of one element."""
    given, axes = call[0], call.numbers(1, "axes")
    if axes is None:
        axes = [axis for axis, size in enumerate(given.shape) if size == 1]
    gone = {axis % given.rank for axis in axes}
    return call.build.reshaped(
        given, [size for axis, size in enumerate(given.shape) if axis not in gone]
    )


def unsqueeze(call: Call) -> View:
    """Put in axes of one element."""
    given, axes = call[0], call.numbers(1, "axes") or []
    rank = given.rank + len(axes)
    put, sizes = {axis % rank for axis in axes}, iter(given.shape)
    return call.build.reshaped(given, [1 if axis in put else next(sizes) for axis in range(rank)])


def transpose(call: Call) -> View:
    """Put the axes in another order."""
    given = call[0]
    return given.transpose(call.get("perm") or list(reversed(range(given.rank))))


def expand(call: Call) -> View:
    """Repeat along axes of one element."""
    given, sizes = call[0], [int(size) for size in call.known(1).ravel()]
    return given.broadcast(np.broadcast_shapes(given.shape, tuple(sizes)))


def concat(call: Call) -> View:
    """Put values one behind the other along an axis."""
    parts = [part for part in call.given if part is not None]
    axis = call.axis(0, parts[0].rank)
    arrays = [part.values() for part in parts]
    if all(array is not None for array in arrays):
        return call.build.constant(np.concatenate([a for a in arrays if a is not None], axis))
    parts = [part for part in parts if part.size] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    out, start = call.build.room(parts[0].dtype, shape), 0
    for part in parts:
        call.build.nodes.append(Move(out.cut(axis, start, part.shape[axis]), part))
        start += part.shape[axis]
    return out


def split(call: Call) -> list[View]:
    """Return parts along an axis."""
    given = call[0]
    axis, sizes = call.axis(0, given.rank), call.numbers(1, "split")
    if sizes is None:
        parts = int(call.get("num_outputs") or len(call.node.outputs))
        each = -(-given.shape[axis] // parts)
        sizes = [min(each, given.shape[axis] - at * each) for at in range(parts)]
    starts = np.cumsum([0, *sizes[:-1]])
    return [given.cut(axis, int(start), size) for start, size in zip(starts, sizes, strict=True)]


def cut(call: Call) -> View:
    """Return a part along each axis."""
    given, found = call[0], call[0]
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes = call.numbers(3, "axes") or list(range(len(starts)))
    steps = call.numbers(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = axis % given.rank
        taken = range(given.shape[place])[start:end:step]
        found = found.cut(place, taken.start, len(taken), step)
    return found


def gather(call: Call) -> View:
    """Return rows by their numbers: a view where there is one constant number."""
    table, ids = call[0], call[1]
    axis, known, held = call.axis(0, table.rank), ids.values(), table.values()
    before, after = table.shape[:axis], table.shape[axis + 1 :]
    rows = table.shape[axis]
    if known is not None and held is not None:
        return call.build.constant(np.take(held, known, axis))
    if known is not None and known.size == 1:
        found = table.cut(axis, int(known.item()) % rows, 1)
        return call.build.reshaped(found, [*before, *ids.shape, *after])
    flat = call.build.reshaped(table, [prod(before), rows, prod(after)])
    out = call.build.room(table.dtype, [prod(before), ids.size, prod(after)])
    numbers = call.build.reshaped(ids, [ids.size])
    call.build.nodes.append(Gather(out, flat, numbers))
    return call.build.reshaped(out, [*before, *ids.shape, *after])


def pad(call: Call) -> View:
    """Put a constant around."""
    given, pads = call[0], call.numbers(1, "pads") or []
    if call.get("mode", "constant") != "constant" or min(pads, default=0) < 0:
        raise call.refusal("pads otherwise than with a constant")
    axes = call.numbers(3, "axes") or list(range(given.rank))
    value = call.maybe(2)
    number = np.zeros(1, given.dtype) if value is None else call.known(2).reshape(1)
    shape, place = list(given.shape), given
    for at, axis in enumerate(axes):
        shape[axis] += pads[at] + pads[at + len(axes)]
    out = call.build.room(given.dtype, shape)
    around = call.build.constant(number)
    call.build.nodes.append(Move(out, around.broadcast(shape)))
    place = out
    for at, axis in enumerate(axes):
        place = place.cut(axis, pads[at], given.shape[axis])
    call.build.nodes.append(Move(place, given))
    return out
