"""Noise: it acts in training, and files have nothing of it. What passes through noise is told apart
by large differences alone (Bishop 1995, https://doi.org/10.1162/neco.1995.7.1.108).
"""

from __future__ import annotations

import torch
from pydantic import Field

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options


class NoiseOptions(Options):
    """``deviation`` is σ, the standard deviation."""

    deviation: float = Field(ge=0, allow_inf_nan=False)


class Noise(LayerModule):
    """Its input ``x``; in training ``x + σ n``, each number of n drawn from the normal
    distribution.
    """

    options_kind = NoiseOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: NoiseOptions = read_options(place, NoiseOptions)
        place.want(1)
        self.deviation = options.deviation
        self.results = {"": place.inputs[0]}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        if not self.training:
            return (given[0],), ()
        return (given[0] + self.deviation * torch.randn_like(given[0]),), ()
