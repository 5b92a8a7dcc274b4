"""Operators of Core ML programs that compute: element by element, over axes, and as products; in
numpy.

Each function takes the operator's inputs under the operator's own input names, as arrays, and
returns an array. Semantics are those that coremltools documents in ``converters/mil/mil/ops/defs``.
A function never changes what it is given and knows nothing of float16: ``program`` widens
float16 inputs to float32 and rounds the result once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Operator = Callable[..., Any]


def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``; an overflow of the exponential is the right 0."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softplus(x: Array) -> Array:
    """Return ``log(1 + exp(x))`` without overflow."""
    return np.asarray(np.logaddexp(x, x.dtype.type(0)))


def softmax(x: Array, axis: Array) -> Array:
    """Return ``exp(x) / sum(exp(x))`` along ``axis``."""
    exponentials = np.exp(x - x.max(axis=int(axis), keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=int(axis), keepdims=True))


def clamped_relu(x: Array, alpha: Array, beta: Array) -> Array:
    """Return ``min(beta, x)`` where ``x >= 0``, else ``min(beta, alpha x)``."""
    return np.asarray(np.minimum(np.where(x >= 0, x, alpha * x), beta))


def layer_norm(
    x: Array, axes: Array, epsilon: Array, gamma: Array | None = None, beta: Array | None = None
) -> Array:
    """Normalise over ``axes`` to mean 0 and variance 1, then scale by ``gamma`` and add ``beta``,
    each ``x.shape[axes]``.
    """
    over = tuple(axis % x.ndim for axis in axes.tolist())
    parameters = [size if axis in over else 1 for axis, size in enumerate(x.shape)]
    centred = x - x.mean(axis=over, keepdims=True)
    y = centred / np.sqrt(np.square(centred).mean(axis=over, keepdims=True) + epsilon)
    y = y if gamma is None else y * gamma.reshape(parameters)
    return np.asarray(y if beta is None else y + beta.reshape(parameters))


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """Return ``x W^T + b``: ``x [..., I]``, ``weight [O, I]``, ``bias [O]`` to ``[..., O]``."""
    return np.asarray(x @ weight.T + bias)


def matmul(x: Array, y: Array, transpose_x: Array, transpose_y: Array) -> Array:
    """Multiply the last two axes as matrices, each swapped before where its flag says so; the other
    axes broadcast.
    """
    left = np.swapaxes(x, -1, -2) if transpose_x and x.ndim > 1 else x
    right = np.swapaxes(y, -1, -2) if transpose_y and y.ndim > 1 else y
    return np.asarray(left @ right)


def cumsum(x: Array, axis: Array, exclusive: Array, reverse: Array) -> Array:
    """Sum along ``axis`` up to each element: without it where ``exclusive``, from the end where
    ``reverse``.
    """
    at = int(axis)
    ordered = np.flip(x, at) if reverse else x
    sums = np.cumsum(ordered, at, dtype=x.dtype)
    if exclusive:
        sums = np.roll(sums, 1, at)
        np.moveaxis(sums, at, 0)[0] = 0
    return np.flip(sums, at) if reverse else sums


def dequantize(
    input: Array,  # noqa: A002  the operator's own name for it
    scale: Array,
    zero_point: Array | None = None,
    axis: Array | None = None,
) -> Array:
    """Return ``scale (input - zero_point)``, both scalars or one number per place along
    ``axis``.
    """
    shape = [1] * input.ndim
    if axis is not None:
        shape[int(axis)] = -1
    shift = np.zeros(1, np.float32) if zero_point is None else zero_point.astype(np.float32)
    return np.asarray((input - shift.reshape(shape)) * scale.reshape(shape))


def _binary(function: Operator) -> Operator:
    def apply(x: Array, y: Array) -> Any:
        return function(x, y)

    return apply


def _unary(function: Operator) -> Operator:
    def apply(x: Array) -> Any:
        return function(x)

    return apply


def _reduction(function: Operator) -> Operator:
    def reduce(x: Array, keep_dims: Array, axes: Array | None = None) -> Array:
        over = None if axes is None else tuple(axes.tolist())
        return np.asarray(function(x, over, bool(keep_dims)))

    return reduce


def _argument(function: Operator) -> Operator:
    def reduce(x: Array, axis: Array, keep_dims: Array, output_dtype: str = "int32") -> Array:
        return np.asarray(function(x, axis=int(axis), keepdims=bool(keep_dims)))

    return reduce


def _log_sum_exp(x: Array, over: tuple[int, ...] | None, keep: bool) -> Array:
    top = x.max(axis=over, keepdims=True)
    sums: Array = np.log(np.exp(x - top).sum(axis=over, keepdims=True)) + top
    return sums if keep else sums.squeeze(axis=tuple(range(x.ndim)) if over is None else over)


_BINARY: dict[str, Operator] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "real_div": np.true_divide,
    "floor_div": np.floor_divide,
    "mod": np.mod,
    "pow": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
_UNARY: dict[str, Operator] = {
    **{
        name: getattr(np, name)
        for name in ("abs", "ceil", "cos", "cosh", "exp", "exp2", "floor", "logical_not", "round")
    },
    **{
        name: getattr(np, name) for name in ("sign", "sin", "sinh", "sqrt", "square", "tan", "tanh")
    },
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
}
_REDUCTIONS: dict[str, Operator] = {
    "reduce_l1_norm": lambda x, over, keep: np.abs(x).sum(axis=over, keepdims=keep),
    "reduce_l2_norm": lambda x, over, keep: np.sqrt(np.square(x).sum(axis=over, keepdims=keep)),
    "reduce_log_sum": lambda x, over, keep: np.log(x.sum(axis=over, keepdims=keep)),
    "reduce_log_sum_exp": _log_sum_exp,
    "reduce_max": lambda x, over, keep: x.max(axis=over, keepdims=keep),
    "reduce_mean": lambda x, over, keep: x.mean(axis=over, keepdims=keep),
    "reduce_min": lambda x, over, keep: x.min(axis=over, keepdims=keep),
    "reduce_prod": lambda x, over, keep: x.prod(axis=over, keepdims=keep),
    "reduce_sum": lambda x, over, keep: x.sum(axis=over, keepdims=keep),
    "reduce_sum_square": lambda x, over, keep: np.square(x).sum(axis=over, keepdims=keep),
}
ARITHMETIC: dict[str, Operator] = {
    **{name: _binary(function) for name, function in _BINARY.items()},
    **{name: _unary(function) for name, function in _UNARY.items()},
    **{name: _reduction(function) for name, function in _REDUCTIONS.items()},
    "reduce_argmax": _argument(np.argmax),
    "reduce_argmin": _argument(np.argmin),
    "clamped_relu": clamped_relu,
    "clip": lambda x, alpha, beta: np.minimum(np.maximum(x, alpha), beta),
    "cumsum": cumsum,
    "dequantize": dequantize,
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)),
    "inverse": lambda x, epsilon: 1 / (x + epsilon),
    "layer_norm": layer_norm,
    "leaky_relu": lambda x, alpha: np.where(x >= 0, x, alpha * x),
    "linear": linear,
    "linear_activation": lambda x, alpha, beta: alpha * x + beta,
    "log": lambda x, epsilon: np.log(x + epsilon),
    "matmul": matmul,
    "rsqrt": lambda x, epsilon: 1 / np.sqrt(x + epsilon),
    "scaled_tanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "sigmoid_hard": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "softmax": softmax,
    "threshold": lambda x, alpha: np.where(x < alpha, alpha, x),
    "thresholded_relu": lambda x, alpha: np.where(x >= alpha, x, 0),
}
