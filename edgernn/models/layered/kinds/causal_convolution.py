"""A stack of dilated causal convolutions over time, the peer of a recurrent layer: its state is the
inputs that its convolutions look back at.

Temporal convolutional networks: Bai et al. 2018 (https://arxiv.org/abs/1803.01271); the gate, the
dilations and their cycle: van den Oord et al. 2016 (WaveNet, https://arxiv.org/abs/1609.03499).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.models.layered.kinds.convolution import Convolution
from edgernn.models.layered.layer import Extent, LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import Value
from edgernn.models.recurrent import MAX_LAYERS


class CausalConvolutionOptions(Options):
    """``hidden`` is H; ``kernel`` K is in frames; the dilation of layer l, from 0 on, is ``growth``
    to the power ``l mod cycle``; ``dropout`` is the share of a layer's result that is dropped, in
    training.
    """

    hidden: Extent
    layers: int = Field(default=6, ge=1, le=MAX_LAYERS)
    kernel: int = Field(default=3, ge=2, le=64)
    growth: int = Field(default=2, ge=1, le=16)
    cycle: int = Field(default=8, ge=1, le=16)
    dropout: float = Field(default=0.0, ge=0, lt=1)


class CausalConvolution(LayerModule):
    r"""``[B, T, I]`` to ``[B, T, H]``, in layers l of dilation ``d = growth^(l mod cycle)``::

        y_0 = W x + b
        a, g = Σ_j W_lj y_{l, t - (K-1-j) d} + b_l          each [B, T, H]
        y_{l+1} = y_l + V_l (tanh(a) ⊙ σ(g)) + c_l

    The states are ``NAME_l_past [B, (K-1) d, H]`` of each layer, as of a layer of kind
    ``convolution``: the last frames of ``y_l`` before the call, at first zeros. The parameters are
    ``into.weight [H, I]``, ``into.bias``, ``convolutions.l.conv.weight [2H, H, K]``,
    ``convolutions.l.conv.bias``, ``out.l.weight [H, H]`` and ``out.l.bias``. A call takes any
    number of time steps at once.
    """

    options_kind = CausalConvolutionOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: CausalConvolutionOptions = read_options(place, CausalConvolutionOptions)
        place.want(1)
        axis = place.axis(options.hidden, "hidden")
        hidden, value = axis.size or 0, place.inputs[0].over(axis)
        self.into = nn.Linear(place.width(), hidden)
        made = [_convolution(place, value, layer, options) for layer in range(options.layers)]
        self.convolutions = nn.ModuleList(made)
        self.out = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(options.layers))
        self.dropout = options.dropout
        self.results = {"": value}
        self.kept = tuple(kept for layer in made for kept in layer.kept)
        self._reset()

    def _reset(self) -> None:
        """Glorot weights and zero biases; what a layer adds begins small, so that deep stacks begin
        as their input.
        """
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                nn.init.zeros_(parameter)
            else:
                nn.init.xavier_uniform_(parameter)
                parameter.data.mul_(len(self.out) ** -0.5 if name.startswith("out.") else 1.0)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        y = self.into(given[0])  # [B, T, H]
        after: list[Tensor] = []
        for convolution, out, past in zip(self.convolutions, self.out, state, strict=True):
            (sums,), (seen,) = convolution((y,), (past,))  # [B, T, 2H]
            a, g = sums.chunk(2, -1)  # [B, T, H] each
            made = out(torch.tanh(a) * torch.sigmoid(g))  # [B, T, H]
            y = y + nn.functional.dropout(made, self.dropout, self.training)
            after.append(seen)
        return (y,), tuple(after)

    def latest(self, state: Tensors) -> Tensor:
        """See ``LayerModule.latest``: what came to the top layer, whose state ends with it."""
        return state[-1][:, -1]  # [B, H]

    def step_face(self) -> None:
        """See ``LayerModule.step_face``."""
        for convolution in self.convolutions:
            convolution.step_face()  # type: ignore[operator]


def _convolution(
    place: Place, value: Value, layer: int, options: CausalConvolutionOptions
) -> Convolution:
    """Return one layer's convolution, as a layer of its own kind, which takes ``value``."""
    own = {
        "width": 2 * value.width,
        "kernel": options.kernel,
        "dilation": options.growth ** (layer % options.cycle),
    }
    described = place.layer.model_copy(
        update={"name": f"{place.layer.name}_{layer}", "kind": "convolution", "options": own}
    )
    return Convolution(replace(place, layer=described, inputs=(value,)))
