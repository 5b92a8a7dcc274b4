"""The LSTM whose gates see the cell state (Gers & Schmidhuber 2000), the output gate the new one;
as ONNX's ``P``, Kaldi's, TF1's ``LSTMCell(use_peepholes=True)`` and madmom's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined
from edgernn.models.cells.options import CellOptions


class _CompactPeepholeLSTM(Joined):
    def __init__(self, cell: GatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, PeepholeLSTM)
        self.p_i, self.p_f, self.p_o = (
            nn.Parameter(peephole.detach().clone()) for peephole in (cell.p_i, cell.p_f, cell.p_o)
        )

    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending`` and ``PeepholeLSTM.advance``."""
        i, f, g, o = gates.split([self.hidden] * 4, 2)  # [1, B, H] each
        i = torch.sigmoid(i + self.p_i * state[1])  # [1, B, H]
        f = torch.sigmoid(f + self.p_f * state[1])  # [1, B, H]
        c = f * state[1] + i * torch.tanh(g)  # [1, B, H]
        return torch.sigmoid(o + self.p_o * c) * torch.tanh(c), c


class PeepholeLSTM(GatedCell):
    r"""With the rows in the order i, f, g, o, and three vectors p::

    i = σ(x_i + h_i + p_i ⊙ c)    f = σ(x_f + h_f + p_f ⊙ c)    g = tanh(x_g + h_g)
    c' = f ⊙ c + i ⊙ g            o = σ(x_o + h_o + p_o ⊙ c')    h' = o ⊙ tanh(c')
    """

    states = ("h", "c")
    gates = 4
    compact = _CompactPeepholeLSTM

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.p_i, self.p_f, self.p_o = (nn.Parameter(torch.empty(hidden)) for _ in range(3))

    def reset_parameters(self) -> None:
        """As every gated cell, the forget gate's bias 1 as an LSTM's, and small peepholes."""
        super().reset_parameters()
        self.from_input.bias.data[self.hidden : 2 * self.hidden] = 1.0
        for peephole in (self.p_i, self.p_f, self.p_o):
            nn.init.uniform_(peephole, -0.1, 0.1)

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        i, f, g, o = (x + h).chunk(4, dim=-1)  # [B, H] each
        i = torch.sigmoid(i + self.p_i * state[1])  # [B, H]
        f = torch.sigmoid(f + self.p_f * state[1])  # [B, H]
        c = f * state[1] + i * torch.tanh(g)  # [B, H]
        return torch.sigmoid(o + self.p_o * c) * torch.tanh(c), c
