"""ONNX operators that compute, in torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody calls it
from onnx import TensorProto
from torch import Tensor

from edgernn.hoisting.onnx.torch_step.call import Call, Handler

DTYPES: dict[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BOOL: torch.bool,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
}


def _unary(function: Callable[[Tensor], Tensor]) -> Handler:
    return lambda call: function(call.tensor())


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Handler:
    return lambda call: function(call.tensor(0), call.tensor(1))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Handler:
    def fold(call: Call) -> Tensor:
        made, *others = call.tensors()
        for other in others:
            made = function(made, other)
        return made

    return fold


def _divide(left: Tensor, right: Tensor) -> Tensor:
    whole = not (left.is_floating_point() or right.is_floating_point())
    return torch.div(left, right, rounding_mode="trunc") if whole else left / right


def _clip(call: Call) -> Tensor:
    return torch.clamp(call.tensor(), call.number(1, "min"), call.number(2, "max"))


def _cast(call: Call) -> Tensor:
    kind = call.get("to")
    if kind not in DTYPES:
        raise call.refused(f"makes {TensorProto.DataType.Name(kind)} of its input")
    return call.tensor().to(DTYPES[kind])


def _gelu(call: Call) -> Tensor:
    return F.gelu(call.tensor(), approximate=call.get("approximate", "none"))


def _hard_sigmoid(call: Call) -> Tensor:
    bent = call.tensor() * call.get("alpha", 0.2) + call.get("beta", 0.5)
    return torch.clamp(bent, 0, 1)


def _soft(function: Callable[..., Tensor]) -> Handler:
    def along(call: Call) -> Tensor:
        x = call.tensor()
        axis = call.get("axis", -1 if call.opset >= 13 else 1)
        if call.opset < 13 and axis not in {-1, x.ndim - 1}:
            raise call.refused("normalises over several axes")
        return function(x, dim=axis)

    return along


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Handler:
    def reduced(call: Call) -> Tensor:
        x, axes = call.tensor(), call.numbers(1, "axes")
        if not axes:
            if call.get("noop_with_empty_axes", 0):
                return x
            axes = list(range(x.ndim))
        return function(x, [int(axis) for axis in axes], bool(call.get("keepdims", 1)))

    return reduced


def _each_axis(function: Callable[..., Tensor]) -> Handler:
    def one_by_one(x: Tensor, axes: list[int], keep: bool) -> Tensor:
        for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
            x = function(x, dim=axis, keepdim=keep)
        return x

    return _reduce(one_by_one)


def _batch_normalization(call: Call) -> Tensor:
    x, scale, bias, mean, variance = (call.tensor(place) for place in range(5))
    if call.get("training_mode", 0):
        raise call.refused("is in training")
    shape = [1, -1, *[1] * (x.ndim - 2)]
    factor = scale / torch.sqrt(variance + call.get("epsilon", 1e-5))
    return x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)


def _layer_normalization(call: Call) -> Tensor:
    x, axis = call.tensor(), call.get("axis", -1)
    bias = call.tensor(2) if call.maybe(2) is not None else None
    shape = list(call.tensor(1).shape)
    if len(shape) != (x.ndim - axis if axis >= 0 else -axis):
        raise call.refused("scales over other axes than it normalises")
    return F.layer_norm(x, shape, call.tensor(1), bias, call.get("epsilon", 1e-5))


def _instance_normalization(call: Call) -> Tensor:
    scale, bias = call.tensor(1), call.tensor(2)
    return F.instance_norm(call.tensor(), weight=scale, bias=bias, eps=call.get("epsilon", 1e-5))


def _einsum(call: Call) -> Tensor:
    return torch.einsum(call.get("equation"), *call.tensors())


def _arg(function: Callable[..., Tensor]) -> Handler:
    def found(call: Call) -> Tensor:
        return function(
            call.tensor(), dim=call.get("axis", 0), keepdim=bool(call.get("keepdims", 1))
        )

    return found


def _cumulative_sum(call: Call) -> Tensor:
    axes = call.numbers(1)
    if call.get("exclusive", 0) or call.get("reverse", 0) or not axes:
        raise call.refused("sums in another order")
    return torch.cumsum(call.tensor(), int(axes[0]))


ARITHMETIC: dict[str, Handler] = {
    "Abs": _unary(torch.abs),
    "Neg": _unary(torch.neg),
    "Exp": _unary(torch.exp),
    "Log": _unary(torch.log),
    "Sqrt": _unary(torch.sqrt),
    "Reciprocal": _unary(torch.reciprocal),
    "Sigmoid": _unary(torch.sigmoid),
    "Tanh": _unary(torch.tanh),
    "Relu": _unary(torch.relu),
    "Erf": _unary(torch.erf),
    "Sin": _unary(torch.sin),
    "Cos": _unary(torch.cos),
    "Floor": _unary(torch.floor),
    "Ceil": _unary(torch.ceil),
    "Round": _unary(torch.round),
    "Sign": _unary(torch.sign),
    "Softplus": _unary(F.softplus),
    "Softsign": _unary(F.softsign),
    "HardSwish": _unary(F.hardswish),
    "Mish": _unary(F.mish),
    "Not": _unary(torch.logical_not),
    "LeakyRelu": lambda call: F.leaky_relu(call.tensor(), call.get("alpha", 0.01)),
    "Elu": lambda call: F.elu(call.tensor(), call.get("alpha", 1.0)),
    "Selu": _unary(F.selu),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "Add": _binary(torch.add),
    "Sub": _binary(torch.sub),
    "Mul": _binary(torch.mul),
    "Div": _binary(_divide),
    "Pow": _binary(torch.pow),
    "PRelu": lambda call: torch.where(
        call.tensor() < 0, call.tensor() * call.tensor(1), call.tensor()
    ),
    "Equal": _binary(torch.eq),
    "Greater": _binary(torch.gt),
    "GreaterOrEqual": _binary(torch.ge),
    "Less": _binary(torch.lt),
    "LessOrEqual": _binary(torch.le),
    "And": _binary(torch.logical_and),
    "Or": _binary(torch.logical_or),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Sum": _folded(torch.add),
    "Where": lambda call: torch.where(call.tensor(0), call.tensor(1), call.tensor(2)),
    "Clip": _clip,
    "Cast": _cast,
    "Softmax": _soft(F.softmax),
    "LogSoftmax": _soft(F.log_softmax),
    "ReduceMean": _reduce(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
    "ReduceSum": _reduce(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
    "ReduceSumSquare": _reduce(lambda x, axes, keep: (x * x).sum(axes, keepdim=keep)),
    "ReduceL1": _reduce(lambda x, axes, keep: x.abs().sum(axes, keepdim=keep)),
    "ReduceL2": _reduce(lambda x, axes, keep: (x * x).sum(axes, keepdim=keep).sqrt()),
    "ReduceMax": _each_axis(lambda x, dim, keepdim: x.amax(dim, keepdim=keepdim)),
    "ReduceMin": _each_axis(lambda x, dim, keepdim: x.amin(dim, keepdim=keepdim)),
    "BatchNormalization": _batch_normalization,
    "LayerNormalization": _layer_normalization,
    "InstanceNormalization": _instance_normalization,
    "Einsum": _einsum,
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "CumSum": _cumulative_sum,
}
