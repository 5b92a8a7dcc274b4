"""A function of each number, or along the last axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from edgernn.models.activations import ACTIVATIONS
from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.wording import expected_one_of

_SLOPED = ("leaky_relu", "elu", "hard_sigmoid", "hard_tanh")
_NAMES = (*ACTIVATIONS, "hard_tanh", "exp", "softmax", "log_softmax", "prelu")


class ActivationOptions(Options):
    """``function`` is a row of ``models.activations``, or hard_tanh, exp, softmax or log_softmax
    over the last axis, or prelu.

    ``slope`` stands for that of leaky_relu below 0, the factor of elu there, the slope of
    hard_sigmoid, and where hard_tanh ends (1); ``approximate`` makes gelu by the hyperbolic
    tangent.
    """

    function: str
    slope: float | None = Field(default=None, allow_inf_nan=False)
    approximate: Literal["none", "tanh"] = "none"


class Activation(LayerModule):
    """``f(x)``, of the shape of ``x``; prelu has the parameter ``weight [W]``."""

    options_kind = ActivationOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: ActivationOptions = read_options(place, ActivationOptions)
        place.want(1)
        name = options.function
        if name not in _NAMES:
            raise place.refusal(f"function: {expected_one_of(name, _NAMES)}")
        if options.slope is not None and name not in _SLOPED:
            raise place.refusal(f"{name} has no slope; those that have are {', '.join(_SLOPED)}")
        self.results = {"": place.inputs[0]}
        if name == "prelu":
            self.weight = nn.Parameter(torch.full((place.width(),), 0.25))
        self.function = self._prelu if name == "prelu" else _function(options)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (self.function(given[0]),), ()

    def _prelu(self, x: Tensor) -> Tensor:
        return torch.relu(x) - self.weight * torch.relu(-x)


def _function(options: ActivationOptions) -> Callable[[Tensor], Tensor]:
    """Return the function that the options name."""
    name, slope = options.function, options.slope
    end = 1.0 if slope is None else slope
    own: dict[str, Callable[[Tensor], Tensor]] = {
        "hard_tanh": partial(torch.clamp, min=-end, max=end),
        "gelu": partial(functional.gelu, approximate=options.approximate),
        "softmax": partial(torch.softmax, dim=-1),
        "log_softmax": partial(torch.log_softmax, dim=-1),
        "exp": torch.exp,
    }
    if slope is not None:
        own["hard_sigmoid"] = partial(_hard_sigmoid, slope=slope)
        own["elu"] = partial(functional.elu, alpha=slope)
        own["leaky_relu"] = partial(functional.leaky_relu, negative_slope=slope)
    return own.get(name) or ACTIVATIONS[name]


def _hard_sigmoid(x: Tensor, slope: float) -> Tensor:
    return (x * slope + 0.5).clamp(0.0, 1.0)
