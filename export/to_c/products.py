"""Operators that sum products, and those that go over an axis or over windows."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.matrices import FloatMatrix
from edgernn.export.to_c.program import (
    Matmul,
    Move,
    Normalise,
    Product,
    Reduce,
    Softmax,
)
from edgernn.export.to_c.views import View
from edgernn.export.to_c.windows import Convolve, Pool, Windows


def matmul(call: Call) -> View:
    """Return the product of matrices over the last two axes."""
    return product(call, call[0], call[1])


def product(call: Call, left: View, right: View) -> View:
    """Return ``left @ right``: by the packed matrix where the right one is constant and flat."""
    build, (a, b) = call.build, (left.values(), right.values())
    _refuse_other(call, left, right)
    if a is not None and b is not None:
        return build.constant(np.matmul(a, b))
    lone_left, lone_right = left.rank == 1, right.rank == 1
    left = build.reshaped(left, [1, *left.shape]) if lone_left else left
    right = build.reshaped(right, [*right.shape, 1]) if lone_right else right
    groups = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    (rows, depth), columns = left.shape[-2:], right.shape[-1]
    shape = [*groups, *([] if lone_left else [rows]), *([] if lone_right else [columns])]
    if right.shape[-2] != depth:
        raise call.refusal(f"multiplies {list(left.shape)} with {list(right.shape)}")
    if b is not None and right.size == depth * columns:
        flat = build.flat(build.reshaped(left, [left.size // depth, depth]))
        out = build.room("float32", [left.size // depth, columns])
        matrix = FloatMatrix(np.array(b).reshape(depth, columns))
        build.nodes.append(Product(out, (flat,), matrix))
        return build.reshaped(out, shape)
    left = build.reshaped(left.broadcast([*groups, rows, depth]), [prod(groups), rows, depth])
    right = build.reshaped(
        right.broadcast([*groups, depth, columns]), [prod(groups), depth, columns]
    )
    out = build.room("float32", [prod(groups), rows, columns])
    build.nodes.append(Matmul(out, left, right))
    return build.reshaped(out, shape)


def gemm(call: Call) -> View:
    """Return ``α A B + β C``."""
    apply = call.build.pointwise
    left = call[0].transpose([1, 0]) if call.get("transA", 0) else call[0]
    right = call[1].transpose([1, 0]) if call.get("transB", 0) else call[1]
    made = product(call, left, right)
    if (alpha := call.get("alpha", 1.0)) != 1:
        made = apply("mul", made, call.build.constant(np.array(alpha, np.float32)))
    bias, beta = call.maybe(2), call.get("beta", 1.0)
    if bias is None or beta == 0:
        return made
    if beta != 1:
        bias = apply("mul", bias, call.build.constant(np.array(beta, np.float32)))
    return apply("add", made, bias)


def reduce(call: Call, how: str) -> View:
    """Return the sum, mean, largest or smallest along axes."""
    given = call[0]
    axes = call.numbers(1, "axes")
    if not axes:
        axes = [] if call.get("noop_with_empty_axes") else list(range(given.rank))
    _refuse_other(call, given)
    over = sorted(axis % given.rank for axis in axes)
    kept = [axis for axis in range(given.rank) if axis not in over]
    out = call.build.room("float32", [given.shape[axis] for axis in kept])
    call.build.nodes.append(Reduce(out, given.transpose([*kept, *over]), len(over), how))
    if not call.get("keepdims", 1):
        return out
    shape = [1 if axis in over else size for axis, size in enumerate(given.shape)]
    return call.build.reshaped(out, shape)


def softmax(call: Call, *, logarithm: bool) -> View:
    """Return the softmax along an axis."""
    given = call[0]
    _refuse_other(call, given)
    axis = call.axis(-1, given.rank)
    order = [*(at for at in range(given.rank) if at != axis), axis]
    out = call.build.room("float32", given.shape)
    call.build.nodes.append(Softmax(out.transpose(order), given.transpose(order), logarithm))
    return out


def layer_norm(call: Call) -> View:
    """Return the layer norm over an axis and all after it, scaled and shifted."""
    given, apply = call[0], call.build.pointwise
    _refuse_other(call, given)
    axes = given.rank - call.axis(-1, given.rank)
    out = call.build.room("float32", given.shape)
    call.build.nodes.append(Normalise(out, given, axes, float(call.get("epsilon", 1e-5))))
    found = apply("mul", out, call[1])
    return found if call.maybe(2) is None else apply("add", found, call[2])


def convolve(call: Call) -> View:
    """Return a convolution over one or two axes of places."""
    given, kernels, bias = call[0], call[1], call.maybe(2)
    spatial = given.rank - 2
    windows, rows, columns = _windows(call, given, list(kernels.shape[2:]))
    source = call.build.reshaped(given, _planes(given.shape))
    flat = call.build.flat(call.build.reshaped(kernels, _planes(kernels.shape)))
    shape = [given.shape[0], kernels.shape[0], rows, columns]
    out = call.build.room("float32", shape)
    for row in range(given.shape[0]):
        part = Convolve(
            _one(call, out, row), _one(call, source, row), flat, bias, windows, call.get("group", 1)
        )
        call.build.nodes.append(part)
    return out if spatial == 2 else call.build.reshaped(out, [*shape[:2], columns])


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
    _refuse_other(call, given)
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


def _refuse_other(call: Call, *given: View) -> None:
    for view in given:
        if view.dtype != "float32":
            raise call.refusal(f"computes in {view.dtype}, expected float32")
