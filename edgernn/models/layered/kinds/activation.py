"""A function of each number, or along the last axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.models.layered.kinds.functions import FUNCTIONS
from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.wording import expected_one_of

_SLOPED = ("leaky_relu", "elu", "hard_sigmoid", "hard_tanh")
_ALONG = ("softmax", "log_softmax")
_NAMES = (*FUNCTIONS, *_SLOPED, *_ALONG, "gelu", "prelu")
_DEFAULTS = {"leaky_relu": 0.01, "elu": 1.0, "hard_sigmoid": 1 / 6, "hard_tanh": 1.0}


class ActivationOptions(Options):
    """``slope`` is that of leaky_relu (0.01) below 0, of elu (1) its factor there, of hard_sigmoid
    (1/6; Keras 2 and Theano have 0.2), and of hard_tanh where it ends (1); ``approximate`` makes
    gelu by the hyperbolic tangent.
    """

    function: str
    slope: float | None = Field(default=None, allow_inf_nan=False)
    approximate: Literal["none", "tanh"] = "none"


class Activation(LayerModule):
    """``f(x)``, of the shape of ``x``; prelu has the parameter ``weight [W]``, or ``[1]``."""

    options_kind = ActivationOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: ActivationOptions = read_options(place, ActivationOptions)
        place.want(1)
        if options.function not in _NAMES:
            raise place.refusal(f"function: {expected_one_of(options.function, _NAMES)}")
        self.results = {"": place.inputs[0]}
        self.options = options
        if options.function == "prelu":
            self.weight = nn.Parameter(torch.full((place.width(),), 0.25))
        self.function = FUNCTIONS.get(options.function) or self._own()

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (self.function(given[0]),), ()

    def _own(self) -> Callable[[Tensor], Tensor]:
        """Return the function that is no row of ``FUNCTIONS``."""
        options = self.options
        return getattr(self, f"_{options.function}")  # type: ignore[no-any-return]

    @property
    def _slope(self) -> float:
        slope = self.options.slope
        return _DEFAULTS[self.options.function] if slope is None else slope

    def _leaky_relu(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(x, self._slope)

    def _elu(self, x: Tensor) -> Tensor:
        return nn.functional.elu(x, self._slope)

    def _hard_sigmoid(self, x: Tensor) -> Tensor:
        return (x * self._slope + 0.5).clamp(0.0, 1.0)

    def _hard_tanh(self, x: Tensor) -> Tensor:
        return x.clamp(-self._slope, self._slope)

    def _softmax(self, x: Tensor) -> Tensor:
        return torch.softmax(x, -1)

    def _log_softmax(self, x: Tensor) -> Tensor:
        return torch.log_softmax(x, -1)

    def _gelu(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(x, approximate=self.options.approximate)

    def _prelu(self, x: Tensor) -> Tensor:
        return torch.relu(x) - self.weight * torch.relu(-x)
