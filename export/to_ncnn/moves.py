"""Operators that only move elements."""

from __future__ import annotations

import numpy as np

from edgernn.export.to_ncnn.builder import Value, listed, raw
from edgernn.export.to_ncnn.call import Call, Handler
from edgernn.export.to_ncnn.integers import rounded_table
from edgernn.sessions.ncnn.folder import squeezed
from edgernn.sessions.ncnn.shapes import order_number
from edgernn.sessions.ncnn.weights import stored

_FLOATS = frozenset((1, 10, 11))  # of ONNX's dtypes


def same(call: Call) -> Value:
    """Return what goes in."""
    return Value(call.shape, call[0].blob, call[0].array)


def cast(call: Call) -> Value:
    """Return what goes in, which is a float already, or becomes one."""
    if call.get("to") not in _FLOATS:
        raise call.refusal("makes integers or truth values, and ncnn has floats alone")
    return same(call)


def reshape(call: Call) -> Value:
    """Give a tensor other axes: a layer only where they are others beside those of size 1."""
    value = call[0]
    if squeezed(call.shape) == value.dims:
        return Value(call.shape, value.blob)
    return call.build.value(call.build.blob(value, squeezed(call.shape)), call.shape)


def transpose(call: Call) -> Value:
    """Change the order of axes: a layer only where axes of more than 1 change it."""
    value = call[0]
    order = call.get("perm") or list(reversed(range(len(value.shape))))
    places = [place for axis in order if (place := value.axis(axis)) is not None]
    if places == sorted(places):
        return Value(call.shape, value.blob)
    blob = call.build.blob(value)
    call.build.fitting(value.dims, "what Transpose turns")
    return call.build.value(
        call.build.one("Permute", [blob], {0: order_number(places)}), call.shape
    )


def expand(call: Call) -> Value:
    """Repeat axes of size 1, by adding zeros."""
    value, shape = call[0], call.shape
    if squeezed(shape) == value.dims:
        return Value(shape, value.blob)
    whole = (1,) * (len(shape) - len(value.shape)) + value.shape
    own = tuple(size for size, wanted in zip(whole, shape, strict=True) if wanted != 1)
    zeros = Value(shape, array=np.zeros(shape, np.float32))
    blobs = [call.build.blob(value, own), call.build.blob(zeros)]
    return call.build.value(call.build.one("BinaryOp", blobs, {0: 0}), shape)


def concat(call: Call) -> Value:
    """Put tensors one after the other."""
    shape, axis = call.shape, call.axis()
    kept = [at for at, size in enumerate(shape) if size != 1 or at == axis]
    parts = [value for value in call.values if value is not None]
    blobs = [call.build.blob(part, tuple(part.shape[at] for at in kept)) for part in parts]
    if len(blobs) == 1:
        return Value(shape, blobs[0])
    made = call.build.one("Concat", blobs, {0: kept.index(axis)})
    return call.build.value(made, shape)


def split(call: Call) -> list[Value]:
    """Cut a tensor into parts; those that nothing reads are left out."""
    axis, value = call.axis(), call[0]
    shapes = [call.shape_of(place) for place in range(len(call.node.outputs))]
    own = value.axis(axis)
    if own is None or len(shapes) == 1:
        return [Value(shape, value.blob) for shape in shapes]
    parts = [shape[axis] for shape in shapes]
    if all(call.build.uses.get(name) for name in call.node.outputs):
        numbers = {**listed(0, *parts), 1: own}
        blobs = call.build.add("Slice", [call.build.blob(value)], numbers, makes=len(parts))
        return [call.build.value(blob, shape) for blob, shape in zip(blobs, shapes, strict=True)]
    made, start = [], 0
    for name, shape, size in zip(call.node.outputs, shapes, parts, strict=True):
        used = call.build.uses.get(name)
        made.append(_cut(call, value, axis, (start, start + size), shape) if used else Value(shape))
        start += size
    return made


def cut(call: Call) -> Value:
    """Take a part of a tensor, along some axes, in steps of 1."""
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes = call.numbers(3, "axes") or list(range(len(starts)))
    steps = call.numbers(4, "steps") or [1] * len(starts)
    if any(step != 1 for step in steps):
        raise call.refusal(f"has steps of {steps}, and ncnn cuts in steps of 1")
    value = call[0]
    for start, end, axis in zip(starts, ends, axes, strict=True):
        at = axis % len(value.shape)
        first, last, _ = slice(start, end).indices(value.shape[at])
        shape = (*value.shape[:at], last - first, *value.shape[at + 1 :])
        value = _cut(call, value, at, (first, last), shape)
    return Value(call.shape, value.blob)


def _cut(
    call: Call, value: Value, axis: int, ends: tuple[int, int], shape: tuple[int, ...]
) -> Value:
    own, (start, end) = value.axis(axis), ends
    if own is None or end - start == value.shape[axis]:
        return Value(shape, value.blob)
    if end <= start:
        raise call.refusal("takes a part without an element")
    numbers = {**listed(9, start), **listed(10, end), **listed(11, own)}
    return call.build.value(call.build.one("Crop", [call.build.blob(value)], numbers), shape)


def gather(call: Call) -> Value:
    """Look ids up in a table, or take one row of a tensor."""
    value, ids = call[0], call[1]
    if ids.array is None:
        return _rows_of_table(call, value, ids)
    if ids.array.size != 1:
        raise call.refusal(f"takes {ids.array.size} places at once, and ncnn cuts out one")
    axis = call.axis()
    start = int(ids.array.reshape(())) % value.shape[axis]
    kept = (*value.shape[:axis], 1, *value.shape[axis + 1 :])
    return Value(call.shape, _cut(call, value, axis, (start, start + 1), kept).blob)


def _rows_of_table(call: Call, table: Value, ids: Value) -> Value:
    if table.array is None or table.array.ndim != 2 or call.axis():
        raise call.refusal("takes other rows than those of a constant table")
    if ids.blob not in call.build.values:
        raise call.refusal("looks up what was calculated, and ids go into ncnn as they are")
    rows, width = table.array.shape
    numbers: dict[int, int | tuple[int | float, ...]] = {0: width, 1: rows, 2: 0, 3: rows * width}
    if call.build.precision == "int8":
        integers, scale = rounded_table(table.array)
        numbers[18] = 2
        content = b"".join(stored(integers, dtype="int8")) + raw(np.array([scale]))
    else:
        content = call.build.matrix(table.array)
    name = call.name or "embedding"
    blob = call.build.one("Embed", [call.build.blob(ids)], numbers, name=name, weights=content)
    return call.build.value(blob, call.shape)


MOVES: dict[str, Handler] = {
    "Identity": same,
    "Dropout": same,
    "Cast": cast,
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Expand": expand,
    "Concat": concat,
    "Split": split,
    "Slice": cut,
    "Gather": gather,
}
