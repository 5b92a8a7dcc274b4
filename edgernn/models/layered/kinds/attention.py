"""Attention: additive (Bahdanau et al. 2015, https://arxiv.org/abs/1409.0473; Xu et al. 2015,
https://arxiv.org/abs/1502.03044), or by a product (Luong et al. 2015, https://arxiv.org/abs/1508.04025;
scaled as Vaswani et al. 2017, https://arxiv.org/abs/1706.03762). Its weights sum to one, or each is
between 0 and 1 alone, and then their sum counts (Zhang et al. 2018,
https://arxiv.org/abs/1802.05766, say why the former cannot).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Value

_NOTHING = 1e4  # what is taken from the energy of what is not there


class AttentionOptions(Options):
    """``score`` is how keys and queries meet, ``weights`` what the energies become, ``activation``
    is f below; the two biases may be left out.

    Of a product alone: ``scaled`` divides it by √K, and ``threshold`` adds to the energies what the
    query says.
    """

    score: Literal["additive", "product"] = "additive"
    weights: Literal["softmax", "sigmoid"] = "softmax"
    activation: Literal["tanh", "relu"] = "tanh"
    query_bias: bool = True
    energy_bias: bool = True
    scaled: bool = True
    threshold: bool = False


class Attention(LayerModule):
    r"""From features ``a [B, R, F]``, keys ``k [B, R, K]`` and a query ``q [B, 1, Q]``::

        e_i = w · f(k_i + W_q q + b_q) + b_w    α = softmax(e)    z = Σ_i α_i a_i

    With ``score: product`` the energies are ``e_i = k_i · (W_q q + b_q) / √K``, without ``scaled``
    not divided, and there is no w. ``threshold`` adds ``u · q + c`` to all of them.

    With ``weights: sigmoid`` each region has a weight of its own, ``α_i = 1 / (1 + exp(-e_i))``,
    and z is a sum over as many as are attended: ``.count [B, 1, 1]`` is ``Σ_i α_i``.

    A fourth input ``m [B, R]`` of whole numbers is 1 where there is something and 0 where there is
    nothing: ``α_i`` is 0 there, for ``e_i m_i + 10⁴ (m_i - 1)`` stands for ``e_i``. Where there is
    nothing at all, the α of softmax is the same everywhere.

    The value is ``z [B, 1, F]``, the second result ``.alpha [B, 1, R]``. Keys are a context, made
    once: a linear layer of ``encode``. The parameters are ``query.weight [K, Q]``, ``query.bias``,
    ``energy.weight [1, K]``, ``energy.bias``, ``threshold.weight [1, Q]`` (u) and
    ``threshold.bias`` (c). A call takes one time step. ``forward`` takes several queries as well,
    as a decoder needs that is trained on whole texts at once.
    """

    options_kind = AttentionOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: AttentionOptions = read_options(place, AttentionOptions)
        _refuse_misfit(place, options)
        place.want(3, most=4, floats=3)
        features, keys, query, *masks = place.inputs
        regions = features.axes[1]
        if features.timed or len(features.axes) != 3 or keys.axes[:2] != features.axes[:2]:
            raise place.refusal(
                f"its features are {features.told()} and its keys {keys.told()}, expected contexts "
                "[batch, regions, width] of the same regions"
            )
        if not query.timed:
            raise place.refusal(f"its query is {query.told()}, expected a value of each step")
        for mask in masks:
            if mask.axes != features.axes[:2] or mask.dtype != "int64":
                raise place.refusal(
                    f"its mask is {mask.told()}, expected a context int64 [batch, regions] "
                    f"as {features.told()} has"
                )
        self._build(options, keys=place.width(1), queries=place.width(2))
        self.results = {
            "": query.over(features.axes[-1]),
            "alpha": Value((BATCH_AXIS, TIME_AXIS, regions)),
        }
        if self.counts:
            self.results["count"] = query.over(place.axis(1, "count"))

    def _build(self, options: AttentionOptions, *, keys: int, queries: int) -> None:
        """Make the parameters for keys and queries of these widths."""
        self.query = nn.Linear(queries, keys, bias=options.query_bias)
        self.by_product = options.score == "product"
        self.scale = keys**-0.5 if options.scaled else 1.0
        self.counts, self.has_threshold = options.weights == "sigmoid", options.threshold
        if not self.by_product:
            self.energy = nn.Linear(keys, 1, bias=options.energy_bias)
        if options.threshold:
            self.threshold = nn.Linear(queries, 1)
        self.function = {"tanh": torch.tanh, "relu": torch.relu}[options.activation]

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        features, keys, query, *masks = given
        energies = self._energies(keys, self.query(query))  # [B, T, R]
        if self.has_threshold:
            energies = energies + self.threshold(query)  # [B, T, 1]
        for mask in masks:
            there = mask.to(energies.dtype).unsqueeze(1)  # [B, 1, R]
            energies = energies * there + (there - 1.0) * _NOTHING
        alpha = torch.sigmoid(energies) if self.counts else torch.softmax(energies, -1)
        seen = torch.bmm(alpha, features)  # [B, T, F]
        return ((seen, alpha, alpha.sum(-1, keepdim=True)) if self.counts else (seen, alpha)), ()

    def _energies(self, keys: Tensor, query: Tensor) -> Tensor:
        """Return the energies ``[B, T, R]`` of keys ``[B, R, K]`` and queries ``[B, T, K]``."""
        if self.by_product:
            scaled = query if self.scale == 1.0 else query * self.scale
            return torch.bmm(scaled, keys.transpose(1, 2))
        if query.shape[1] == 1:
            one: Tensor = self.energy(self.function(keys + query))  # [B, R, 1]
            return one.transpose(1, 2)  # [B, 1, R]
        sums = keys.unsqueeze(1) + query.unsqueeze(2)  # [B, T, R, K]
        all_of_them: Tensor = self.energy(self.function(sums))  # [B, T, R, 1]
        return all_of_them.squeeze(3)  # [B, T, R]


def _refuse_misfit(place: Place, options: AttentionOptions) -> None:
    """Raise UsageError where an option is without effect."""
    if options.score == "additive" and (options.threshold or not options.scaled):
        raise place.refusal("scaled and threshold are of score: product; leave them out")
    if options.threshold and options.weights == "softmax":
        raise place.refusal(
            "threshold adds the same to all energies, which softmax does not see; leave it out, or "
            "take weights: sigmoid"
        )
