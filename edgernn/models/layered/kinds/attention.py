"""Additive attention (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473; Xu et al. 2015,
https://arxiv.org/abs/1502.03044).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Value


class AttentionOptions(Options):
    """``activation`` is f below; the two biases may be left out."""

    activation: Literal["tanh", "relu"] = "tanh"
    query_bias: bool = True
    energy_bias: bool = True


class Attention(LayerModule):
    r"""From features ``a [B, R, F]``, keys ``k [B, R, K]`` and a query ``q [B, 1, Q]``::

        e_i = w · f(k_i + W_q q + b_q) + b_w    α = softmax(e)    z = Σ_i α_i a_i

    The value is ``z [B, 1, F]``, the second result ``.alpha [B, 1, R]``. Keys are a context, made
    once: a linear layer of ``encode``. The parameters are ``query.weight [K, Q]``, ``query.bias``,
    ``energy.weight [1, K]`` and ``energy.bias``. A call takes one time step.
    """

    options_kind = AttentionOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: AttentionOptions = read_options(place, AttentionOptions)
        place.want(3)
        features, keys, query = place.inputs
        regions = features.axes[1]
        if features.timed or len(features.axes) != 3 or keys.axes[:2] != features.axes[:2]:
            raise place.refusal(
                f"its features are {features.told()} and its keys {keys.told()}, expected contexts "
                "[batch, regions, width] of the same regions"
            )
        if not query.timed:
            raise place.refusal(f"its query is {query.told()}, expected a value of each step")
        width = place.width(1)
        self.query = nn.Linear(place.width(2), width, bias=options.query_bias)
        self.energy = nn.Linear(width, 1, bias=options.energy_bias)
        self.function = {"tanh": torch.tanh, "relu": torch.relu}[options.activation]
        self.results = {
            "": query.over(features.axes[-1]),
            "alpha": Value((BATCH_AXIS, TIME_AXIS, regions)),
        }

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        features, keys, query = given
        energies = self.energy(self.function(keys + self.query(query)))  # [B, R, 1]
        alpha = torch.softmax(energies.transpose(1, 2), -1)  # [B, 1, R]
        return (torch.bmm(alpha, features), alpha), ()  # [B, 1, F]
