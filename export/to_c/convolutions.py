"""Operators over windows of places, along one axis or two."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.matrices import FloatMatrix
from edgernn.export.to_c.products import refuse_other
from edgernn.export.to_c.program import Move, Product
from edgernn.export.to_c.views import View
from edgernn.export.to_c.windows import Convolve, Pool, Windows

_PLANE = 2  # axes of places
_MOST_BYTES = 1 << 17  # of what lies under windows, put together at once


def convolve(call: Call) -> View:
    """Return a convolution over one or two axes of places."""
    given, kernels, bias = call[0], call[1], call.maybe(2)
    spatial = given.rank - 2
    windows, rows, columns = _windows(call, given, list(kernels.shape[2:]))
    source = call.build.reshaped(given, _planes(given.shape))
    groups, held = call.get("group", 1), kernels.values()
    shape = [given.shape[0], kernels.shape[0], rows, columns]
    if groups == 1 and held is not None:
        added = None if bias is None else bias.values()
        if bias is None or added is not None:
            if added is None:
                added = np.zeros(kernels.shape[0], np.float32)
            flat = np.ascontiguousarray(held.reshape(held.shape[0], -1).T, np.float32)
            matrix = FloatMatrix(flat)
            made = partial(_by_product, call, windows=windows, matrix=matrix, bias=added)
            parts = [
                made(_one(call, source, row), counts=(rows, columns)) for row in range(shape[0])
            ]
            return _together(call, parts, shape if spatial == _PLANE else [*shape[:2], columns])
    planes = call.build.flat(call.build.reshaped(kernels, _planes(kernels.shape)))
    out = call.build.room("float32", shape)
    for row in range(given.shape[0]):
        part = Convolve(
            _one(call, out, row), _one(call, source, row), planes, bias, windows, groups
        )
        call.build.nodes.append(part)
    return out if spatial == _PLANE else call.build.reshaped(out, [*shape[:2], columns])


def _by_product(
    call: Call,
    source: View,
    *,
    windows: Windows,
    counts: tuple[int, int],
    matrix: FloatMatrix,
    bias: np.ndarray,
) -> View:
    """Return ``[C, rows, columns]``: what lies under each window as a row of a matrix, some rows of
    windows at a time, and the product of that with the kernels.
    """
    build, (rows, columns) = call.build, counts
    depth, channels = matrix.depth, matrix.rows
    if min(counts) < 1 or bias.shape != (channels,):
        raise call.refusal(f"has {rows} by {columns} windows, and a bias of {list(bias.shape)}")
    padded = _padded(call, source, windows, counts)
    out = build.room("float32", [rows * columns, channels])
    together = max(1, _MOST_BYTES // (4 * depth * columns))
    for start in range(0, rows, together):
        count = min(together, rows - start)
        under = _under_windows(padded, windows, (start, count, columns))
        patches = build.reshaped(build.copied(under), [count * columns, depth])
        part = out.cut(0, start * columns, count * columns)
        build.nodes.append(Product(part, (patches,), matrix, bias))
    return build.reshaped(out, [rows, columns, channels]).transpose([2, 0, 1])


def _under_windows(padded: View, windows: Windows, place: tuple[int, int, int]) -> View:
    """Return what lies under some rows of windows: ``[rows, columns, channels, high, wide]``."""
    start, rows, columns = place
    deep, down, along = padded.strides
    (high, wide), (down_by, along_by), (apart_down, apart) = (
        windows.kernel, windows.strides, windows.dilations,
    )  # fmt: skip
    shape = (rows, columns, padded.shape[0], high, wide)
    strides = (down * down_by, along * along_by, deep, down * apart_down, along * apart)
    return View(padded.storage, padded.offset + start * down * down_by, shape, strides)


def _padded(call: Call, source: View, windows: Windows, counts: tuple[int, int]) -> View:
    """Return ``[C, rows, columns]`` with zeros around, as far as windows reach."""
    ways = zip(counts, windows.strides, windows.kernel, windows.dilations, strict=True)
    spans = [(count - 1) * step + (size - 1) * apart + 1 for count, step, size, apart in ways]
    if not any(windows.before) and all(
        span <= size for span, size in zip(spans, source.shape[1:], strict=True)
    ):
        return source
    wide = call.build.room("float32", [source.shape[0], *spans])
    zero = call.build.constant(np.zeros([1, 1, 1], np.float32))
    call.build.nodes.append(Move(wide, zero.broadcast(wide.shape)))
    inner = wide
    for axis, before in enumerate(windows.before, start=1):
        fit = min(source.shape[axis], wide.shape[axis] - before)
        inner, source = inner.cut(axis, before, fit), source.cut(axis, 0, fit)
    call.build.nodes.append(Move(inner, source))
    return wide


def _together(call: Call, parts: list[View], shape: list[int]) -> View:
    """Return the results of all rows of the batch."""
    if len(parts) == 1:
        return call.build.reshaped(parts[0], shape)
    out = call.build.room("float32", [len(parts), *parts[0].shape])
    for row, part in enumerate(parts):
        call.build.nodes.append(Move(_one(call, out, row), part))
    return call.build.reshaped(out, shape)


def convolve_transposed(call: Call) -> View:
    """Return a transposed convolution: one over the input with zeros between its places, by the
    kernels turned round.
    """
    given, held, groups = call[0], call.known(1), call.get("group", 1)
    axes = range(given.rank - 2)
    if call.get("auto_pad", "NOTSET") != "NOTSET" or call.get("output_shape"):
        raise call.refusal("pads by itself")
    strides = call.get("strides") or [1 for _ in axes]
    dilations = call.get("dilations") or [1 for _ in axes]
    pads = call.get("pads") or [0 for _ in [*axes, *axes]]
    more = call.get("output_padding") or [0 for _ in axes]
    reach = [(held.shape[2 + at] - 1) * dilations[at] for at in axes]
    before = [reach[at] - pads[at] for at in axes]
    behind = [reach[at] - pads[at + len(axes)] + more[at] for at in axes]
    if min([*before, *behind]) < 0:
        raise call.refusal("cuts off more than its kernels reach")
    shape = [
        before[at] + (size - 1) * strides[at] + 1 + behind[at]
        for at, size in enumerate(given.shape[2:])
    ]
    wide = call.build.room("float32", [*given.shape[:2], *shape])
    zero = call.build.constant(np.zeros([1] * wide.rank, np.float32))
    call.build.nodes.append(Move(wide, zero.broadcast(wide.shape)))
    place = wide
    for at in axes:
        place = place.cut(2 + at, before[at], given.shape[2 + at], strides[at])
    call.build.nodes.append(Move(place, given))
    turned = np.flip(held, tuple(2 + at for at in axes))
    parts = turned.reshape(groups, -1, *turned.shape[1:])  # [groups, in, out, ...]
    kernels = np.ascontiguousarray(parts.swapaxes(1, 2)).reshape(
        -1, parts.shape[1], *held.shape[2:]
    )
    attributes = {"group": groups, "dilations": dilations}
    node = replace(call.node, attributes=attributes)
    views = [wide, call.build.constant(kernels), call.maybe(2)]
    return convolve(replace(call, node=node, given=views))


def pool(call: Call, how: str) -> View:
    """Return the mean or the largest of each window."""
    given = call[0]
    whole = call.node.op.startswith("Global")
    kernel = list(given.shape[2:]) if whole else [int(n) for n in call.get("kernel_shape")]
    windows, rows, columns = _windows(call, given, kernel)
    source = call.build.reshaped(given, _planes(given.shape))
    out = call.build.room("float32", [*given.shape[:2], rows, columns])
    padded = bool(call.get("count_include_pad", 0))
    for row in range(given.shape[0]):
        part = Pool(_one(call, out, row), _one(call, source, row), windows, how, padded)
        call.build.nodes.append(part)
    return out if given.rank == 4 else call.build.reshaped(out, [*given.shape[:2], columns])


def _windows(call: Call, given: View, kernel: list[int]) -> tuple[Windows, int, int]:
    """Return how windows lie, and how many rows and columns of them there are."""
    spatial = given.rank - 2
    refuse_other(call, given)
    if spatial not in (1, 2) or call.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise call.refusal("has another number of axes than one or two, or pads by itself")
    if call.get("ceil_mode", 0):
        raise call.refusal("rounds the number of windows up")
    strides = call.get("strides") or [1] * spatial
    dilations = call.get("dilations") or [1] * spatial
    pads = call.get("pads") or [0] * 2 * spatial
    counts = [
        (size + pads[at] + pads[at + spatial] - (kernel[at] - 1) * dilations[at] - 1) // strides[at]
        + 1
        for at, size in enumerate(given.shape[2:])
    ]
    lift = (lambda own, fill: (fill, own[0])) if spatial == 1 else (lambda own, fill: tuple(own))
    found = Windows(lift(kernel, 1), lift(strides, 1), lift(pads[:spatial], 0), lift(dilations, 1))
    rows, columns = lift(counts, 1)
    return found, rows, columns


def _planes(shape: tuple[int, ...]) -> list[int]:
    return list(shape) if len(shape) == 4 else [*shape[:2], 1, shape[2]]


def _one(call: Call, view: View, row: int) -> View:
    return call.build.reshaped(view.cut(0, row, 1), view.shape[1:])
