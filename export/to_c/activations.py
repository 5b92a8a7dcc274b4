"""Operators of elements that are put together from others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi, sqrt

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.pointwise import elu, folded, number
from edgernn.export.to_c.views import View

_SELU_ALPHA, _SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


def gelu(call: Call) -> View:
    """Return x Φ(x) (Hendrycks and Gimpel 2016), or its approximation by tanh."""
    apply, x = call.build.pointwise, call[0]
    half = apply("mul", number(call, 0.5), x)
    if call.get("approximate", "none") == "tanh":
        cube = apply("mul", apply("mul", apply("mul", x, x), x), number(call, 0.044715))
        inner = apply("tanh", apply("mul", apply("add", x, cube), number(call, sqrt(2 / pi))))
    else:
        inner = apply("erf", apply("mul", x, number(call, sqrt(0.5))))
    return apply("mul", half, apply("add", inner, number(call, 1)))


def hard_swish(call: Call) -> View:
    """Return x times x / 6 + 1 / 2 between 0 and 1 (Howard et al. 2019)."""
    apply = call.build.pointwise
    line = apply("add", apply("mul", call[0], number(call, 1 / 6)), number(call, 0.5))
    return apply("mul", call[0], apply("min", apply("max", line, number(call, 0)), number(call, 1)))


def swish(call: Call) -> View:
    """Return x σ(α x) (Ramachandran et al. 2017)."""
    apply = call.build.pointwise
    scaled = apply("mul", call[0], number(call, call.get("alpha", 1.0)))
    return apply("mul", call[0], apply("sigmoid", scaled))


def mish(call: Call) -> View:
    """Return x tanh(ln(1 + e^x)) (Misra 2019)."""
    apply = call.build.pointwise
    return apply("mul", call[0], apply("tanh", apply("softplus", call[0])))


def selu(call: Call) -> View:
    """Return γ x, or γ α (e^x − 1) below zero (Klambauer et al. 2017)."""
    apply = call.build.pointwise
    alpha, gamma = call.get("alpha", _SELU_ALPHA), call.get("gamma", _SELU_GAMMA)
    grown = apply("mul", apply("sub", apply("exp", call[0]), number(call, 1)), number(call, alpha))
    below = apply("less", call[0], number(call, 0), dtype="bool")
    return apply("mul", apply("select", below, grown, call[0]), number(call, gamma))


def celu(call: Call) -> View:
    """Return x, or α (e^(x / α) − 1) below zero (Barron 2017)."""
    apply, alpha = call.build.pointwise, number(call, call.get("alpha", 1.0))
    grown = apply("sub", apply("exp", apply("div", call[0], alpha)), number(call, 1))
    below = apply("less", call[0], number(call, 0), dtype="bool")
    return apply("select", below, apply("mul", grown, alpha), call[0])


def softsign(call: Call) -> View:
    """Return x / (1 + |x|)."""
    apply = call.build.pointwise
    return apply("div", call[0], apply("add", apply("abs", call[0]), number(call, 1)))


def thresholded(call: Call) -> View:
    """Return x above α, else 0."""
    apply = call.build.pointwise
    above = apply("greater", call[0], number(call, call.get("alpha", 1.0)), dtype="bool")
    return apply("select", above, call[0], number(call, 0))


def mean(call: Call) -> View:
    """Return the mean of all inputs, element by element."""
    count = sum(view is not None for view in call.given)
    return call.build.pointwise("div", folded(call, "add"), number(call, count))


def remainder(call: Call) -> View:
    """Return what division leaves: with the sign of the divisor, or by ``fmod`` of the dividend."""
    if call.get("fmod", 0):
        return call.build.pointwise("rem", call[0], call[1])
    if call[0].dtype == "float32":
        raise call.refusal("divides floats without fmod")
    return call.build.pointwise("mod", call[0], call[1])


def tangent(call: Call) -> View:
    """Return sin x / cos x."""
    apply = call.build.pointwise
    return apply("div", apply("sin", call[0]), apply("cos", call[0]))


def size(call: Call) -> View:
    """Return how many elements there are, which is fixed."""
    return call.build.constant(np.array(call[0].size, np.int64))


PUT_TOGETHER: dict[str, Callable[[Call], View]] = {
    "Gelu": gelu,
    "HardSwish": hard_swish,
    "Swish": swish,
    "Mish": mish,
    "Selu": selu,
    "Celu": celu,
    "Elu": elu,
    "Softsign": softsign,
    "ThresholdedRelu": thresholded,
    "Mean": mean,
    "Sum": partial(folded, name="add"),
    "Mod": remainder,
    "Tan": tangent,
    "Size": size,
}
