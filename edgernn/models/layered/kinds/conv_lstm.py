"""The convolutional LSTM (Shi et al. 2015, https://arxiv.org/abs/1506.04214): an LSTM over maps,
whose products are convolutions, so that its state is a map too.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgernn.models.layered.kinds.frames import as_pictures, map_axes
from edgernn.models.layered.layer import (
    Extent,
    Kept,
    LayerModule,
    Options,
    Place,
    Tensors,
    read_options,
)
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Axis, Value
from edgernn.models.windows import windows

_GATES = 4
_PEEPING = 3


class ConvLSTMOptions(Options):
    """``width`` is C, the channels of the state; ``kernel`` K is odd, in pixels, of both
    convolutions; ``peepholes`` lets the gates see the cell state, as Shi et al. have it;
    ``normalise`` puts batch normalisation (Ioffe & Szegedy 2015) between the input's convolution
    and the gates.
    """

    width: Extent
    kernel: int = Field(default=3, ge=1, le=63)
    peepholes: bool = False
    normalise: bool = False


class ConvLSTM(LayerModule):
    r"""Maps ``[B, T, I, H, W]`` to ``h [B, T, C, H, W]``, with the channels of the convolutions in
    the order i, f, g, o and zeros around the maps::

        a = norm(W_x ∗ x_t) + W_h ∗ h_{t-1} + b
        i = σ(a_i + p_i ⊙ c_{t-1})      f = σ(a_f + p_f ⊙ c_{t-1})      g = tanh(a_g)
        c_t = f ⊙ c_{t-1} + i ⊙ g       o = σ(a_o + p_o ⊙ c_t)          h_t = o ⊙ tanh(c_t)

    The states are ``NAME_h`` and ``NAME_c``, ``[B, C, H, W]``. The parameters are
    ``from_input.weight [4C, I, K, K]``, ``from_hidden.weight [4C, C, K, K]``, ``from_hidden.bias
    [4C]``, ``norm.…`` as torch's ``BatchNorm2d`` has them, and ``peephole [3, C, H, W]`` of i, f
    and o. The input's convolution is computed of all time steps at once. A traced graph takes the
    one number of steps that it was traced with.
    """

    options_kind = ConvLSTMOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: ConvLSTMOptions = read_options(place, ConvLSTMOptions)
        channels, height, width = map_axes(place)
        own = place.axis(options.width)
        inputs, size = channels.size or 0, own.size or 0
        if options.kernel % 2 == 0:
            raise place.refusal(f"its kernel is {options.kernel}, expected an odd number of pixels")
        self.kernel, self.padding = options.kernel, options.kernel // 2
        self.from_input: nn.Conv2d | None = self._convolution(inputs, _GATES * size, bias=False)
        self.from_hidden: nn.Conv2d | None = self._convolution(size, _GATES * size)
        self.norm = nn.BatchNorm2d(_GATES * size) if options.normalise else None
        places = (size, height.size or 0, width.size or 0)
        self.peephole = nn.Parameter(torch.zeros(_PEEPING, *places)) if options.peepholes else None
        self.joined: nn.Conv2d | None = None
        self.product: nn.Linear | None = None
        self.results = {"": Value((BATCH_AXIS, TIME_AXIS, own, height, width))}
        self.kept = tuple(_kept(place, key, (own, height, width)) for key in ("h", "c"))
        self._reset()

    def _convolution(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
        return nn.Conv2d(inputs, outputs, self.kernel, padding=self.padding, bias=bias)

    def _reset(self) -> None:
        """Glorot input weights, orthogonal recurrent ones, and the forget gate's bias 1, gate by
        gate, as of every LSTM here.
        """
        assert self.from_input is not None and self.from_hidden is not None
        assert self.from_hidden.bias is not None
        for block in self.from_input.weight.data.chunk(_GATES):
            nn.init.xavier_uniform_(block)
        for block in self.from_hidden.weight.data.chunk(_GATES):
            nn.init.orthogonal_(block)
        nn.init.zeros_(self.from_hidden.bias)
        self.from_hidden.bias.data.chunk(_GATES)[1].fill_(1.0)

    @property
    def open_time(self) -> bool:
        """See ``LayerModule.open_time``."""
        return False

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        maps, (h, c) = given[0], state
        made: list[Tensor] = []
        for x in self._from_input(maps):
            h, c = self._advance(self._gates(x, h), c)  # [B, C, H, W] each
            made.append(h)
        return (torch.stack(made, 1),), (h, c)

    def _from_input(self, maps: Tensor) -> Tensors:
        """Return what each time step gives the gates, ``[B, 4C, H, W]``; the steps' own maps in the
        step face, where one convolution serves input and state.
        """
        if self.from_input is None:
            return maps.unbind(1)
        y = self.from_input(as_pictures(maps))  # [B·T, 4C, H, W]
        y = y if self.norm is None else self.norm(y)
        return y.view(*maps.shape[:2], *y.shape[1:]).unbind(1)  # type: ignore[no-any-return]

    def _gates(self, x: Tensor, h: Tensor) -> Tensor:
        """Return the gates' pre-activations, ``[B, 4C, H, W]``."""
        if self.from_hidden is not None:
            return x + self.from_hidden(h)  # type: ignore[no-any-return]
        seen = torch.cat((x, h), 1)  # [B, I + C, H, W]
        if self.product is not None:
            sides, ones = [self.kernel] * 2, [1, 1]
            rows = windows(seen, sides, ones, ones, [(self.padding, self.padding)] * 2)
            return self.product(rows).permute(0, 3, 1, 2)  # type: ignore[no-any-return]
        assert self.joined is not None
        return self.joined(seen)  # type: ignore[no-any-return]

    def _advance(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``h`` and ``c`` after a step."""
        i, f, g, o = gates.chunk(_GATES, 1)  # [B, C, H, W] each
        if self.peephole is not None:
            i, f = i + self.peephole[0] * c, f + self.peephole[1] * c
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        if self.peephole is not None:
            o = o + self.peephole[2] * c
        return torch.sigmoid(o) * torch.tanh(c), c

    def step_face(self) -> None:
        """See ``LayerModule.step_face``: the normalisation is folded into the input's convolution,
        and that one joined with the state's.
        """
        if self.from_input is None or self.from_hidden is None:
            return
        below, own = self.from_input, self.from_hidden
        if self.norm is not None:
            below = fuse_conv_bn_eval(below, self.norm)
        assert own.bias is not None
        bias = own.bias if below.bias is None else own.bias + below.bias
        weight = torch.cat((below.weight, own.weight), 1).detach()  # [4C, I + C, K, K]
        joined = self._convolution(weight.shape[1], len(weight))
        joined.weight, joined.bias = nn.Parameter(weight), nn.Parameter(bias.detach())
        self.joined, self.from_input, self.from_hidden, self.norm = joined, None, None, None

    def in_products(self) -> None:
        """See ``LayerModule.in_products``."""
        if self.joined is None:
            return
        assert self.joined.bias is not None
        rows = self.joined.weight.detach().flatten(1)  # [4C, (I + C) K K]
        self.product = nn.Linear(rows.shape[1], rows.shape[0])
        self.product.weight = nn.Parameter(rows.contiguous())
        self.product.bias = nn.Parameter(self.joined.bias.detach())
        self.joined = None


def _kept(place: Place, key: str, axes: tuple[Axis, ...]) -> Kept:
    return Kept(key, f"{place.layer.name}_{key}", Value((BATCH_AXIS, *axes)))
