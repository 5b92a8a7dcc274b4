"""Products, sums over axes, and what is made of them."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from edgernn.export.to_ncnn.builder import Value, listed, raw
from edgernn.export.to_ncnn.call import Call, Handler
from edgernn.sessions.ncnn.text import Given


def matmul(call: Call) -> Value:
    """Multiply by a constant matrix, or two tensors with one another."""
    left, right = call[0], call[1]
    if right.array is not None and right.array.ndim == 2 and left.array is None:
        return call.build.linear(left, right.array.T, None, name=call.name)
    if len(left.shape) < 2 or len(right.shape) < 2:
        raise call.refusal("multiplies a vector, and ncnn multiplies matrices")
    groups, *others = {prod(value.shape[:-2]) for value in (left, right)}
    if others:
        raise call.refusal("repeats one of the two matrices")
    front = (groups,) if groups > 1 else ()
    blobs = [call.build.blob(value, (*front, *value.shape[-2:])) for value in (left, right)]
    return call.build.value(call.build.one("MatMul", blobs), call.shape)


def gemm(call: Call) -> Value:
    """Multiply by a constant matrix and add a constant bias."""
    if call.get("transA") or call[1].array is None or call.get("alpha", 1.0) != 1.0:
        raise call.refusal("is no product of a row with a constant matrix")
    matrix = call.constant(1) if call.get("transB") else call.constant(1).T
    bias = None if call.maybe(2) is None else call.constant(2)
    if bias is not None:
        bias = np.broadcast_to(bias * call.get("beta", 1.0), (*call.shape[:-1], matrix.shape[0]))
        if not (bias == bias[:1]).all():
            raise call.refusal("adds another bias to each row")
        bias = bias[0]
    return call.build.linear(call[0], matrix, bias, name=call.name)


def reduce(call: Call, *, kind: int) -> Value:
    """Put elements together along some axes: their sum, or what else ``kind`` says."""
    value = call[0]
    axes = call.numbers(1, "axes")
    if axes is None:
        axes = list(range(len(value.shape)))
    places = sorted({place for axis in axes if (place := value.axis(axis)) is not None})
    if not places:
        if kind not in (0, 3, 4, 5):
            raise call.refusal("is over axes of size 1")
        return Value(call.shape, value.blob)
    whole = len(places) == len(value.dims)
    numbers: dict[int, Given] = {0: kind, 1: int(whole), 4: 0, 5: 1}
    numbers |= {} if whole else listed(3, *places)
    return call.build.value(
        call.build.one("Reduction", [call.build.blob(value)], numbers), call.shape
    )


def softmax(call: Call) -> Value:
    """Add a softmax."""
    own = call[0].axis(call.axis(-1))
    if own is None:
        raise call.refusal("is over an axis of size 1")
    return call.one("Softmax", {0: own, 1: 1})


def log_softmax(call: Call) -> Value:
    """Add ``s − log Σ exp s`` with ``s = x − max x``: of a softmax that is 0 there is no
    logarithm.
    """
    value = call[0]
    own = value.axis(call.axis(-1))
    if own is None:
        raise call.refusal("is over an axis of size 1")
    shifted = _less(call, call.build.blob(value), _along(call, value.blob, own, kind=4))
    powers = call.build.one("UnaryOp", [shifted], {0: 7})
    total = call.build.one("UnaryOp", [_along(call, powers, own, kind=0)], {0: 8})
    return call.build.value(_less(call, shifted, total), call.shape)


def _along(call: Call, blob: str, axis: int, *, kind: int) -> str:
    """Add a sum, or what else ``kind`` says, over one axis, which stays with size 1."""
    dims = call.build.dims[blob]
    whole = len(dims) == 1
    numbers: dict[int, Given] = {0: kind, 1: int(whole), 4: 0, 5: 1}
    made = call.build.one("Reduction", [blob], numbers | ({} if whole else listed(3, axis)))
    return call.build.reshaped(made, (*dims[:axis], 1, *dims[axis + 1 :]))


def _less(call: Call, blob: str, other: str) -> str:
    return call.build.one("BinaryOp", [blob, other], {0: 1})


def layer_norm(call: Call) -> Value:
    """Add a layer norm over the last axis."""
    value = call[0]
    size = value.shape[-1]
    if call.axis(-1) != len(value.shape) - 1 or size == 1:
        raise call.refusal("is over more axes than the last one")
    scale = call.constant(1)
    bias = np.zeros(size) if call.maybe(2) is None else call.constant(2)
    numbers = {0: size, 1: float(call.get("epsilon", 1e-5)), 2: 1}
    blob = call.build.one(
        "LayerNorm",
        [call.build.blob(value)],
        numbers,
        name=call.name,
        weights=raw(scale) + raw(bias),
    )
    return call.build.value(blob, call.shape)


PRODUCTS: dict[str, Handler] = {
    "MatMul": matmul,
    "Gemm": gemm,
    "ReduceSum": partial(reduce, kind=0),
    "ReduceMean": partial(reduce, kind=3),
    "ReduceMax": partial(reduce, kind=4),
    "ReduceMin": partial(reduce, kind=5),
    "ReduceL1": partial(reduce, kind=7),
    "ReduceL2": partial(reduce, kind=8),
    "ReduceSumSquare": partial(reduce, kind=2),
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "LayerNormalization": layer_norm,
}
