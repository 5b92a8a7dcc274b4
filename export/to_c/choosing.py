"""Operators that choose along an axis, add up along it, or choose by places."""

from __future__ import annotations

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.selections import Cumulate, Top
from edgernn.export.to_c.views import View


def _last(view: View, axis: int) -> View:
    """Return a view with an axis put last."""
    return view.transpose([*(at for at in range(view.rank) if at != axis), axis])


def arg(call: Call, *, largest: bool) -> View:
    """Return the place of the largest or the smallest along an axis."""
    given = call[0]
    axis, build = call.axis(0, given.rank), call.build
    shape = [1 if at == axis else size for at, size in enumerate(given.shape)]
    values, places = build.room(given.dtype, shape), build.room("int64", shape)
    last = bool(call.get("select_last_index", 0))
    out, where, source = (_last(view, axis) for view in (values, places, given))
    build.nodes.append(Top(out, where, source, largest, last))
    if call.get("keepdims", 1):
        return places
    return build.reshaped(places, [n for at, n in enumerate(given.shape) if at != axis])


def top(call: Call) -> list[View]:
    """Return the K largest or smallest along an axis, and their places."""
    given, count = call[0], int(call.known(1).item())
    axis, build = call.axis(-1, given.rank), call.build
    shape = [count if at == axis else size for at, size in enumerate(given.shape)]
    values, places = build.room(given.dtype, shape), build.room("int64", shape)
    out, where, source = (_last(view, axis) for view in (values, places, given))
    build.nodes.append(Top(out, where, source, bool(call.get("largest", 1))))
    return [values, places]


def cumulate(call: Call) -> View:
    """Return the sums along an axis up to each place."""
    given = call[0]
    axis = int(call.known(1).item()) % given.rank
    out = call.build.room(given.dtype, given.shape)
    made, source = _last(out, axis), _last(given, axis)
    if call.get("reverse", 0):
        size, last = given.shape[axis], given.rank - 1
        made, source = (view.cut(last, size - 1, size, -1) for view in (made, source))
    call.build.nodes.append(Cumulate(made, source, bool(call.get("exclusive", 0))))
    return out


def triangle(call: Call) -> View:
    """Keep what is on and above a diagonal, or on and below it; zeros elsewhere."""
    given = call[0]
    shift = 0 if call.maybe(1) is None else int(call.known(1).item())
    ones = np.ones(given.shape[-2:], bool)
    kept = np.triu(ones, shift) if call.get("upper", 1) else np.tril(ones, shift)
    zero = call.build.constant(np.zeros((), given.dtype))
    return call.build.pointwise("select", call.build.constant(kept), given, zero)


def one_hot(call: Call) -> View:
    """Return one value where a place is the id, and another one elsewhere."""
    ids, count, build = call[0], int(call.known(1).item()), call.build
    axis = call.axis(-1, ids.rank + 1)
    if ids.dtype not in ("int64", "int32"):
        raise call.refusal(f"takes ids of {ids.dtype}")
    shape = [*ids.shape[:axis], 1, *ids.shape[axis:]]
    numbers = np.arange(count, dtype=ids.dtype).reshape([-1] + [1] * (ids.rank - axis))
    own = build.reshaped(ids, shape)
    zero = build.constant(np.zeros((), ids.dtype))
    wrapped = build.pointwise("add", own, build.constant(np.array(count, ids.dtype)))
    own = build.pointwise("select", build.pointwise("less", own, zero, dtype="bool"), wrapped, own)
    here = build.pointwise("equal", own, build.constant(numbers), dtype="bool")
    values = call[2]
    return build.pointwise("select", here, values.cut(0, 1, 1), values.cut(0, 0, 1))


def tile(call: Call) -> View:
    """Repeat the whole along each axis."""
    given, times = call[0], [int(n) for n in call.known(1).ravel()]
    inner = [size for own in zip([1] * given.rank, given.shape, strict=True) for size in own]
    outer = [size for own in zip(times, given.shape, strict=True) for size in own]
    repeated = call.build.reshaped(given, inner).broadcast(outer)
    return call.build.reshaped(
        call.build.copied(repeated), [n * size for n, size in zip(times, given.shape, strict=True)]
    )
