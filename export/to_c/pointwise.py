"""Operators that compute each element by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.views import View


def each(call: Call, name: str) -> View:
    """Return a function of all inputs."""
    given = [view for view in call.given if view is not None]
    return call.build.pointwise(name, *given)


def compared(call: Call, name: str) -> View:
    """Return a comparison, or a connective of truths."""
    return call.build.pointwise(name, *(v for v in call.given if v is not None), dtype="bool")


def folded(call: Call, name: str) -> View:
    """Return a function of two, over any number of inputs."""
    found, *others = (view for view in call.given if view is not None)
    for other in others:
        found = call.build.pointwise(name, found, other)
    return found


def number(call: Call, value: float) -> View:
    """Return a number as a constant of the first input's dtype."""
    return call.build.constant(np.array(value, call[0].dtype))


def clip(call: Call) -> View:
    """Limit from below and from above."""
    found, dtype = call[0], call[0].dtype
    for place, name, attribute in ((1, "max", "min"), (2, "min", "max")):
        limit = call.maybe(place)
        if limit is None and call.get(attribute) is not None:
            limit = call.build.constant(np.array(call.get(attribute), dtype))
        if limit is not None:
            found = call.build.pointwise(name, found, limit)
    return found


def power(call: Call) -> View:
    """Raise to a power: by products, a root or a quotient where that is it."""
    exponent, given, apply = call[1].values(), call[0], call.build.pointwise
    base = given.values()
    if base is not None and exponent is not None:
        return call.build.constant(np.power(base, exponent).astype(given.dtype))
    wanted = float(exponent.flat[0]) if exponent is not None and exponent.size == 1 else None
    if wanted == 1:
        return given
    if wanted in (2, 3):
        squared = apply("mul", given, given)
        return squared if wanted == 2 else apply("mul", squared, given)
    if wanted == 0.5:
        return apply("sqrt", given)
    if wanted in (-1, -0.5):
        root = given if wanted == -1 else apply("sqrt", given)
        return apply("div", number(call, 1), root)
    if call[1].dtype != given.dtype:
        raise call.refusal(f"raises {given.dtype} to {call[1].dtype}")
    return apply("pow", given, call[1])


def reciprocal(call: Call) -> View:
    """Return 1 / x."""
    return call.build.pointwise("div", number(call, 1), call[0])


def leaky(call: Call) -> View:
    """Return x, or a part of it below zero."""
    small = call.build.pointwise("mul", call[0], number(call, call.get("alpha", 0.01)))
    return _below_zero(call, small)


def prelu(call: Call) -> View:
    """Return x, or a trained part of it below zero."""
    return _below_zero(call, call.build.pointwise("mul", call[0], call[1]))


def elu(call: Call) -> View:
    """Return x, or α (e^x − 1) below zero (Clevert et al. 2016)."""
    apply = call.build.pointwise
    grown = apply("sub", apply("exp", call[0]), number(call, 1))
    return _below_zero(call, apply("mul", grown, number(call, call.get("alpha", 1.0))))


def hard_sigmoid(call: Call) -> View:
    """Return α x + β between 0 and 1."""
    apply = call.build.pointwise
    line = apply("mul", call[0], number(call, call.get("alpha", 0.2)))
    line = apply("add", line, number(call, call.get("beta", 0.5)))
    return apply("min", apply("max", line, number(call, 0)), number(call, 1))


def _below_zero(call: Call, other: View) -> View:
    negative = call.build.pointwise("less", call[0], number(call, 0), dtype="bool")
    return call.build.pointwise("select", negative, other, call[0])


EACH: dict[str, Callable[[Call], View]] = {
    **{
        op: partial(each, name=name)
        for op, name in {
            "Add": "add",
            "Sub": "sub",
            "Mul": "mul",
            "Div": "div",
            "Neg": "neg",
            "Abs": "abs",
            "Relu": "relu",
            "Exp": "exp",
            "Log": "log",
            "Softplus": "softplus",
            "Sqrt": "sqrt",
            "Tanh": "tanh",
            "Sigmoid": "sigmoid",
            "Erf": "erf",
            "Sin": "sin",
            "Cos": "cos",
            "Floor": "floor",
            "Ceil": "ceil",
            "Round": "round",
            "Sign": "sign",
            "Where": "select",
        }.items()
    },
    **{
        op: partial(compared, name=name)
        for op, name in {
            "Greater": "greater",
            "Less": "less",
            "GreaterOrEqual": "greater_equal",
            "LessOrEqual": "less_equal",
            "Equal": "equal",
            "And": "and",
            "Or": "or",
            "Not": "not",
            "Xor": "xor",
            "IsNaN": "is_nan",
        }.items()
    },
    "Max": partial(folded, name="max"),
    "Min": partial(folded, name="min"),
    "Clip": clip,
    "Pow": power,
    "Reciprocal": reciprocal,
    "LeakyRelu": leaky,
    "PRelu": prelu,
    "Elu": elu,
    "HardSigmoid": hard_sigmoid,
}
