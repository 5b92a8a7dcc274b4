"""The LSTM whose candidate is the larger of two sums (maxout, Goodfellow et al. 2013), with no
tanh: Rennie et al. 2017, section 2 (https://arxiv.org/abs/1612.00563), and ``LSTMCore`` of
ruotianluo's ImageCaptioning.pytorch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined


class _CompactMaxoutLSTM(Joined):
    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending`` and ``MaxoutLSTM.advance``."""
        sigmoids, g, other = gates.split([3 * self.hidden, self.hidden, self.hidden], 2)
        i, f, o = torch.sigmoid(sigmoids).split([self.hidden] * 3, 2)  # [1, B, H] each
        c = f * state[1] + i * torch.maximum(g, other)  # [1, B, H]
        return o * torch.tanh(c), c


class MaxoutLSTM(GatedCell):
    r"""With the rows in the order i, f, o, g, k, with a the sums x + h::

    i = σ(a_i)    f = σ(a_f)    o = σ(a_o)
    c' = f ⊙ c + i ⊙ max(a_g, a_k)    h' = o ⊙ tanh(c')

    What upstream's attention models add to g and k alone is an addition to the gates with zeros in
    the first three blocks.
    """

    states = ("h", "c")
    gates = 5
    compact = _CompactMaxoutLSTM

    def reset_parameters(self) -> None:
        """As every gated cell, and the forget gate's bias 1 as an LSTM's."""
        super().reset_parameters()
        self.from_input.bias.data[self.hidden : 2 * self.hidden] = 1.0

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        i, f, o, g, other = (x + h).chunk(5, dim=-1)  # [B, H] each
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.maximum(g, other)  # [B, H]
        return torch.sigmoid(o) * torch.tanh(c), c
