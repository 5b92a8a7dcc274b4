"""The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined


class _CompactLSTM(Joined):
    order = (0, 1, 3, 2)  # i, f, o, g: one sigmoid serves three gates

    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending`` and ``LSTM.advance``."""
        sigmoids, g = gates.split([3 * self.hidden, self.hidden], 2)  # [1, B, 3H], [1, B, H]
        i, f, o = torch.sigmoid(sigmoids).split([self.hidden] * 3, 2)  # [1, B, H] each
        c = f * state[1] + i * torch.tanh(g)  # [1, B, H]
        return o * torch.tanh(c), c


class LSTM(GatedCell):
    r"""With the rows in the order i, f, g, o::

    i = σ(x_i + h_i)    f = σ(x_f + h_f)    g = tanh(x_g + h_g)    o = σ(x_o + h_o)
    c' = f ⊙ c + i ⊙ g                      h' = o ⊙ tanh(c')
    """

    states = ("h", "c")
    gates = 4
    fused = nn.LSTM
    compact = _CompactLSTM

    def reset_parameters(self) -> None:
        """As every gated cell, and the forget gate's bias 1, in ``b_ih`` alone (Gers et al. 2000;
        Jozefowicz et al. 2015).
        """
        super().reset_parameters()
        self.from_input.bias.data[self.hidden : 2 * self.hidden] = 1.0

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        i, f, g, o = (x + h).chunk(4, dim=-1)  # [B, H] each
        c_next = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)  # [B, H]
        return torch.sigmoid(o) * torch.tanh(c_next), c_next
