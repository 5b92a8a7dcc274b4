"""The LSTM that lets in as much as it forgets (Greff et al. 2017, "CIFG"; TF1's
``CoupledInputForgetGateLSTMCell`` without peepholes, whose rows are g, f, o).

Greff et al. have the input gate's rows and forget ``1 - i``: the same with those rows negated, for
``1 - σ(a) = σ(-a)``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined


class _CompactCoupledLSTM(Joined):
    order = (0, 2, 1)  # f, o, g: one sigmoid serves two gates

    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending`` and ``CoupledLSTM.advance``."""
        sigmoids, g = gates.split([2 * self.hidden, self.hidden], 2)  # [1, B, 2H], [1, B, H]
        f, o = torch.sigmoid(sigmoids).split([self.hidden] * 2, 2)  # [1, B, H] each
        g = torch.tanh(g)  # [1, B, H]
        c = g + f * (state[1] - g)  # [1, B, H]
        return o * torch.tanh(c), c


class CoupledLSTM(GatedCell):
    r"""With the rows in the order f, g, o::

    f = σ(x_f + h_f)    g = tanh(x_g + h_g)    o = σ(x_o + h_o)
    c' = f ⊙ c + (1 - f) ⊙ g                   h' = o ⊙ tanh(c')
    """

    states = ("h", "c")
    gates = 3
    compact = _CompactCoupledLSTM

    def reset_parameters(self) -> None:
        """As every gated cell, and the forget gate's bias 1 as an LSTM's."""
        super().reset_parameters()
        self.from_input.bias.data[: self.hidden] = 1.0

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        f, g, o = (x + h).chunk(3, dim=-1)  # [B, H] each
        g = torch.tanh(g)  # [B, H]
        c = g + torch.sigmoid(f) * (state[1] - g)  # [B, H]
        return torch.sigmoid(o) * torch.tanh(c), c
