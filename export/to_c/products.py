"""Operators that sum products, and those that go over an axis."""

from __future__ import annotations

from math import prod

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.matrices import FloatMatrix
from edgernn.export.to_c.program import Matmul, Normalise, Product, Reduce, Softmax
from edgernn.export.to_c.views import View


def matmul(call: Call) -> View:
    """Return the product of matrices over the last two axes."""
    return product(call, call[0], call[1])


def product(call: Call, left: View, right: View) -> View:
    """Return ``left @ right``: by the packed matrix where the right one is constant and flat."""
    build, (a, b) = call.build, (left.values(), right.values())
    refuse_other(call, left, right)
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
    refuse_other(call, given)
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
    refuse_other(call, given)
    axis = call.axis(-1, given.rank)
    order = [*(at for at in range(given.rank) if at != axis), axis]
    out = call.build.room("float32", given.shape)
    call.build.nodes.append(Softmax(out.transpose(order), given.transpose(order), logarithm))
    return out


def layer_norm(call: Call) -> View:
    """Return the layer norm over an axis and all after it, scaled and shifted."""
    given, apply = call[0], call.build.pointwise
    refuse_other(call, given)
    axes = given.rank - call.axis(-1, given.rank)
    out = call.build.room("float32", given.shape)
    call.build.nodes.append(Normalise(out, given, axes, float(call.get("epsilon", 1e-5))))
    found = apply("mul", out, call[1])
    return found if call.maybe(2) is None else apply("add", found, call[2])


def refuse_other(call: Call, *given: View) -> None:
    """Raise ContractError for values that are no floats."""
    for view in given:
        if view.dtype != "float32":
            raise call.refusal(f"computes in {view.dtype}, expected float32")
