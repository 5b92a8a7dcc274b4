"""The layer-normalised LSTM, equations 20 to 22 of Ba, Kiros & Hinton 2016
(https://arxiv.org/abs/1607.06450), as haste's ``LayerNormLSTM``, whose rows are i, g, f, o.

TF1's ``LayerNormBasicLSTMCell`` normalises each gate by itself and keeps the normalised cell state:
another cell, which this one does not compute.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.models.cells.base import Cell, State
from edgernn.models.cells.compact import CompactCell, copied, copied_norm, reordered
from edgernn.models.cells.options import CellOptions


class Normalised(CellOptions):
    """``epsilon`` is added to each variance."""

    epsilon: float = Field(default=1e-5, gt=0, le=1)


class _CompactNormalisedLSTM(CompactCell):
    """What comes from the input and from the state is normalised apart, so the products stay apart.
    Folded, the table's rows are normalised already.
    """

    order = (0, 1, 3, 2)  # i, f, o, g: one sigmoid serves three gates

    def __init__(self, cell: Cell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, NormalisedLSTM)
        self.folded = folded
        if not folded:
            self.from_input = copied(reordered(cell.from_input.weight, self.order, axis=0), None)
            self.input_norm = copied_norm(cell.input_norm, self.order)
        self.from_hidden = copied(reordered(cell.from_hidden.weight, self.order, axis=0), None)
        self.hidden_norm = copied_norm(cell.hidden_norm, self.order)
        self.cell_norm = copied_norm(cell.cell_norm)

    @classmethod
    def table(cls, cell: Cell, embedding: Tensor) -> Tensor:
        """See ``CompactCell.table``."""
        assert isinstance(cell, NormalisedLSTM)
        made = cell.input_norm(cell.from_input(embedding)).detach()  # [V, 4H]
        return reordered(made, cls.order, axis=-1)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``NormalisedLSTM.forward``."""
        h, c = state
        from_x = x if self.folded else self.input_norm(self.from_input(x))  # [1, B, 4H]
        sums = from_x + self.hidden_norm(self.from_hidden(h))
        sums = sums if gates is None else sums + reordered(gates, self.order, axis=2)
        sigmoids, g = sums.split([3 * self.hidden, self.hidden], 2)  # [1, B, 3H], [1, B, H]
        i, f, o = torch.sigmoid(sigmoids).split([self.hidden] * 3, 2)  # [1, B, H] each
        c = f * c + i * torch.tanh(g)  # [1, B, H]
        return o * torch.tanh(self.cell_norm(c)), c


class NormalisedLSTM(Cell):
    r"""With the rows in the order i, f, g, o, and LN over all of them at once, each LN with its own
    weight and bias::

        a = LN(W_ih x) + LN(W_hh h)
        c' = σ(a_f) ⊙ c + σ(a_i) ⊙ tanh(a_g)    h' = σ(a_o) ⊙ tanh(LN(c'))

    The paper's bias b is part of the first LN's. What is added to the gates is added to a.
    """

    states = ("h", "c")
    options_kind = Normalised
    gates = 4
    compact = _CompactNormalisedLSTM
    options: Normalised

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        rows, eps = self.gates * hidden, self.options.epsilon
        self.from_input = nn.Linear(inputs, rows, bias=False)
        self.from_hidden = nn.Linear(hidden, rows, bias=False)
        self.input_norm, self.hidden_norm = (nn.LayerNorm(rows, eps=eps) for _ in range(2))
        self.cell_norm = nn.LayerNorm(hidden, eps=eps)

    def reset_parameters(self) -> None:
        """Glorot input weights, orthogonal recurrent blocks; LN weights 1 and biases 0, the forget
        gate's 1 as an LSTM's.
        """
        for block in self.from_input.weight.data.split(self.hidden):  # [H, I]
            nn.init.xavier_uniform_(block)
        for block in self.from_hidden.weight.data.split(self.hidden):  # [H, H]
            nn.init.orthogonal_(block)
        for norm in (self.input_norm, self.hidden_norm, self.cell_norm):
            norm.reset_parameters()
        self.input_norm.bias.data[self.hidden : 2 * self.hidden] = 1.0

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> State:
        """See ``Cell.forward``."""
        h, c = state
        sums = self.input_norm(self.from_input(x)) + self.hidden_norm(self.from_hidden(h))
        sums = sums if gates is None else sums + gates  # [B, 4H]
        i, f, g, o = sums.split([self.hidden] * 4, -1)  # [B, H] each
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)  # [B, H]
        return torch.sigmoid(o) * torch.tanh(self.cell_norm(c)), c
