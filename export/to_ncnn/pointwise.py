"""Operators that calculate element by element."""

from __future__ import annotations

from functools import partial

import numpy as np

from edgernn.export.to_ncnn.builder import Shape, Value
from edgernn.export.to_ncnn.call import Call, Handler

_BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3, "Max": 4, "Min": 5, "Pow": 6}
_TURNED = {1: 7, 3: 8, 6: 9}  # with what goes in the other way round
_UNARY = {
    "Abs": 0,
    "Neg": 1,
    "Floor": 2,
    "Ceil": 3,
    "Sqrt": 5,
    "Exp": 7,
    "Log": 8,
    "Sin": 9,
    "Cos": 10,
    "Tan": 11,
    "Asin": 12,
    "Acos": 13,
    "Atan": 14,
    "Reciprocal": 15,
}


def binary(call: Call, *, kind: int) -> Value:
    """Add two tensors, or what else ``kind`` says; a number stands in the layer itself."""
    if len(call.values) != 2:
        raise call.refusal(f"has {len(call.values)} inputs, expected 2")
    left, right = call[0], call[1]
    if kind == 0 and (made := _with_bias(call, left, right)) is not None:
        return made
    for value, other, own in ((right, left, kind), (left, right, _TURNED.get(kind, kind))):
        if value.array is not None and value.array.size == 1:
            number = float(value.array.reshape(()))
            blob = call.build.one("BinaryOp", [call.build.blob(other)], {0: own, 1: 1, 2: number})
            return call.build.value(blob, call.shape)
    blobs = [call.build.blob(value, _spread(value.shape, call.shape)) for value in (left, right)]
    return call.build.value(call.build.one("BinaryOp", blobs, {0: kind}), call.shape)


def _spread(own: Shape, made: Shape) -> tuple[int, ...]:
    """Return the axes of a blob of shape ``own`` that is calculated with one of ``made``: as many,
    those of size 1 that the other repeats.
    """
    if all(size == 1 for size in own):
        return (1,)
    whole = (1,) * (len(made) - len(own)) + own
    return tuple(size for size, wanted in zip(whole, made, strict=True) if wanted != 1) or (1,)


def _with_bias(call: Call, left: Value, right: Value) -> Value | None:
    """Return the sum of a product and its bias as one layer; None where it is none."""
    for value, bias in ((left, right), (right, left)):
        if bias.array is None or value.array is not None:
            continue
        made = call.build.with_bias(value, bias.array, uses=_uses(call, value))
        if made is not None:
            return Value(call.shape, made)
    return None


def _uses(call: Call, value: Value) -> int:
    place = call.values.index(value)
    return call.build.uses.get(call.node.inputs[place], 0)


def unary(call: Call, *, kind: int) -> Value:
    """Calculate a function that ncnn has a number for."""
    return call.one("UnaryOp", {0: kind})


def relu(call: Call) -> Value:
    """Add a ReLU, with a slope below 0 where it is a leaky one."""
    slope = call.get("alpha", 0.01) if call.node.op == "LeakyRelu" else 0.0
    return call.one("ReLU", {0: float(slope)})


def clip(call: Call) -> Value:
    """Add limits."""
    limits = []
    for place, name, default in ((1, "min", -3.4e38), (2, "max", 3.4e38)):
        own = call.maybe(place)
        found = call.get(name, default) if own is None else float(call.constant(place).reshape(()))
        limits.append(float(np.clip(found, -3.4e38, 3.4e38)))
    return call.one("Clip", {0: limits[0], 1: limits[1]})


def hard_sigmoid(call: Call) -> Value:
    """Add a hard sigmoid."""
    numbers = {0: float(call.get("alpha", 0.2)), 1: float(call.get("beta", 0.5))}
    return call.one("HardSigmoid", numbers)


def elu(call: Call) -> Value:
    """Add an ELU."""
    return call.one("ELU", {0: float(call.get("alpha", 1.0))})


def selu(call: Call) -> Value:
    """Add a SELU."""
    alpha, gamma = call.get("alpha", 1.6732632423543772), call.get("gamma", 1.0507009873554805)
    return call.one("SELU", {0: float(alpha), 1: float(gamma)})


def plain(call: Call, *, kind: str) -> Value:
    """Add a layer without numbers."""
    return call.one(kind)


EACH: dict[str, Handler] = {
    **{name: partial(binary, kind=kind) for name, kind in _BINARY.items()},
    **{name: partial(unary, kind=kind) for name, kind in _UNARY.items()},
    "Sigmoid": partial(plain, kind="Sigmoid"),
    "Tanh": partial(plain, kind="TanH"),
    "Erf": partial(plain, kind="Erf"),
    "Softplus": partial(plain, kind="Softplus"),
    "Relu": relu,
    "LeakyRelu": relu,
    "Clip": clip,
    "HardSigmoid": hard_sigmoid,
    "Elu": elu,
    "Selu": selu,
}
