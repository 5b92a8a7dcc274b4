"""Normalisation: by statistics that were kept (Ioffe & Szegedy 2015, in evaluation), and over the
vector itself (Ba et al. 2016).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options


class NormaliseOptions(Options):
    """``eps`` is added to the variance: torch's 1e-5; Keras has 1e-3."""

    eps: float = Field(default=1e-5, gt=0, lt=1)


class KeptOptions(NormaliseOptions):
    """``mean`` and ``variance``: the statistics that it begins with, ``[W]`` each; zeros and ones
    where they are not given.
    """

    mean: tuple[float, ...] | None = None
    variance: tuple[float, ...] | None = None


class Normalise(LayerModule):
    """``w ⊙ (x - mean) / √(variance + eps) + b``; the parameters are ``weight``, ``bias``,
    ``running_mean`` and ``running_var``, ``[W]`` each, as torch's.
    """

    options_kind = KeptOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: KeptOptions = read_options(place, KeptOptions)
        place.want(1)
        width = place.width()
        self.eps = options.eps
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", _statistic(place, "mean", options.mean, 0.0))
        self.register_buffer("running_var", _statistic(place, "variance", options.variance, 1.0))
        self.results = {"": place.inputs[0]}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``; scale and shift are constants of the written graph."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        scale = self.weight / torch.sqrt(variance + self.eps)  # [W]
        return (given[0] * scale + (self.bias - mean * scale),), ()


class LayerNorm(LayerModule):
    """``w ⊙ (x - mean(x)) / √(var(x) + eps) + b`` over the last axis; the parameters are ``weight``
    and ``bias``, ``[W]`` each, as torch's.
    """

    options_kind = NormaliseOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: NormaliseOptions = read_options(place, NormaliseOptions)
        place.want(1)
        self.eps, self.width = options.eps, place.width()
        self.weight = nn.Parameter(torch.ones(self.width))
        self.bias = nn.Parameter(torch.zeros(self.width))
        self.results = {"": place.inputs[0]}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        y = nn.functional.layer_norm(given[0], (self.width,), self.weight, self.bias, self.eps)
        return (y,), ()


def _statistic(
    place: Place, name: str, values: tuple[float, ...] | None, default: float
) -> torch.Tensor:
    """Return the values of an option that has one for each number of the vector."""
    width = place.width()
    if values is None:
        return torch.full((width,), default)
    if len(values) != width:
        raise place.refusal(f"{name} has {len(values)} values, its input {width}")
    return torch.tensor(values)
