"""The causal convolution over time, dilated or not (van den Oord et al. 2016): the frames that it
looks back at are its state.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.models.layered.layer import (
    Extent,
    Kept,
    LayerModule,
    Options,
    Place,
    Tensors,
    read_options,
)
from edgernn.models.layered.values import BATCH_AXIS, Value

_MOST_PAST = 1 << 16  # frames


class ConvolutionOptions(Options):
    """``width`` is O, that of the result; ``kernel`` and ``dilation`` are in frames."""

    width: Extent
    kernel: int = Field(ge=1, le=4096)
    dilation: int = Field(default=1, ge=1, le=_MOST_PAST)
    groups: int = Field(default=1, ge=1)
    bias: bool = True


class Convolution(LayerModule):
    r"""``y_t = b + Σ_j W_j x_{t - (K-1-j) d}``, ``[B, T, I]`` to ``[B, T, O]``, with zeros before
    the first frame.

    The parameters are ``conv.weight [O, I / groups, K]`` and ``conv.bias [O]``, as torch's
    ``Conv1d`` has them. The state is ``NAME_past [B, (K-1) d, I]``, the last frames before the
    call; there is none where K is 1.
    """

    options_kind = ConvolutionOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: ConvolutionOptions = read_options(place, ConvolutionOptions)
        place.want(1)
        inputs, axis = place.width(), place.axis(options.width)
        outputs = axis.size or 0
        if inputs % options.groups or outputs % options.groups:
            raise place.refusal(
                f"groups is {options.groups}, expected a divisor of the widths {inputs} and "
                f"{outputs}"
            )
        self.conv: nn.Conv1d | None = nn.Conv1d(
            inputs,
            outputs,
            options.kernel,
            dilation=options.dilation,
            groups=options.groups,
            bias=options.bias,
        )
        self.product: nn.Linear | None = None
        self.past, self.dilation = (options.kernel - 1) * options.dilation, options.dilation
        if self.past > _MOST_PAST:
            raise place.refusal(
                f"it looks {self.past:,} frames back, expected {_MOST_PAST:,} or fewer"
            )
        self.results = {"": place.inputs[0].over(axis)}
        if self.past:
            name = f"{place.layer.name}_past"
            axes = (BATCH_AXIS, place.axis(self.past, "frames"), place.inputs[0].axes[-1])
            self.kept = (Kept("past", name, Value(axes)),)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        x = torch.cat((*state, given[0]), 1)  # [B, P + T, I]
        return (self._computed(x),), ((x[:, -self.past :],) if self.past else ())

    def _computed(self, x: Tensor) -> Tensor:
        """Return ``[B, T, O]`` of ``x [B, P + T, I]``."""
        if self.product is not None:
            taps = x[:, :: self.dilation].flatten(1).unsqueeze(1)  # [B, 1, K I]
            product: Tensor = self.product(taps)  # [B, 1, O]
            return product
        assert self.conv is not None
        y: Tensor = self.conv(x.transpose(1, 2))  # [B, O, T]
        return y.transpose(1, 2)

    def step_face(self) -> None:
        """See ``LayerModule.step_face``: one product, which integers can do, where all inputs reach
        all outputs.
        """
        conv = self.conv
        if conv is None or conv.groups > 1:
            return
        rows = conv.weight.detach().transpose(1, 2).flatten(1)  # [O, K I]
        self.product = nn.Linear(rows.shape[1], rows.shape[0], bias=conv.bias is not None)
        self.product.weight = nn.Parameter(rows.contiguous())
        if conv.bias is not None:
            self.product.bias = nn.Parameter(conv.bias.detach())
        self.conv = None
