"""The layer-normalised GRU of the supplement of Ba, Kiros & Hinton 2016
(https://arxiv.org/abs/1607.06450), and of the authors' ``lngru_layer``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import Cell, State
from edgernn.models.cells.compact import CompactCell, copied, copied_norm
from edgernn.models.cells.lstm_normalised import Normalised
from edgernn.models.cells.options import CellOptions


class _CompactNormalisedGRU(CompactCell):
    """The products stay apart, as the sums of each are normalised by themselves. Folded, the
    table's rows are normalised already.
    """

    def __init__(self, cell: Cell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, NormalisedGRU)
        self.folded = folded
        if not folded:
            self.from_input = copied(cell.from_input.weight, None)
            self.input_norm = copied_norm(cell.input_norm)
            self.input_norm_n = copied_norm(cell.input_norm_n)
        self.from_hidden = copied(cell.from_hidden.weight, None)
        self.hidden_norm = copied_norm(cell.hidden_norm)
        self.hidden_norm_n = copied_norm(cell.hidden_norm_n)

    @classmethod
    def table(cls, cell: Cell, embedding: Tensor) -> Tensor:
        """See ``CompactCell.table``."""
        assert isinstance(cell, NormalisedGRU)
        sizes = [2 * cell.hidden, cell.hidden]
        zr, n = cell.from_input(embedding).split(sizes, -1)  # [V, 2H], [V, H]
        return torch.cat((cell.input_norm(zr), cell.input_norm_n(n)), -1).detach()  # [V, 3H]

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``NormalisedGRU.forward``."""
        (h,), sizes = state, [2 * self.hidden, self.hidden]
        x_zr, x_n = (x if self.folded else self.from_input(x)).split(sizes, 2)
        if not self.folded:
            x_zr, x_n = self.input_norm(x_zr), self.input_norm_n(x_n)  # [1, B, 2H], [1, B, H]
        if gates is not None:
            added_zr, added_n = gates.split(sizes, 2)  # [1, B, 2H], [1, B, H]
            x_zr, x_n = x_zr + added_zr, x_n + added_n
        h_zr, h_n = self.from_hidden(h).split(sizes, 2)  # [1, B, 2H], [1, B, H]
        z, r = torch.sigmoid(x_zr + self.hidden_norm(h_zr)).split([self.hidden] * 2, 2)
        n = torch.tanh(x_n + r * self.hidden_norm_n(h_n))  # [1, B, H]
        return (h + z * (n - h),)


class NormalisedGRU(Cell):
    r"""With the rows in the order z, r, n, and LN over z and r at once, over n apart, each LN with
    its own weight and bias::

        a_z, a_r = LN(W_zr x) + LN(U_zr h)
        n = tanh(LN(W_n x) + σ(a_r) ⊙ LN(U_n h))    h' = (1 - σ(a_z)) ⊙ h + σ(a_z) ⊙ n

    The reset acts after the product, and z lets in, where torch's GRU lets 1 - z in. The biases of
    the sums are those of the LNs. What is added to the gates is added to a_z, a_r and LN(W_n x).
    """

    states = ("h",)
    options_kind = Normalised
    gates = 3
    compact = _CompactNormalisedGRU
    options: Normalised

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        eps = self.options.epsilon
        self.from_input = nn.Linear(inputs, 3 * hidden, bias=False)
        self.from_hidden = nn.Linear(hidden, 3 * hidden, bias=False)
        self.input_norm, self.hidden_norm = (nn.LayerNorm(2 * hidden, eps=eps) for _ in range(2))
        self.input_norm_n, self.hidden_norm_n = (nn.LayerNorm(hidden, eps=eps) for _ in range(2))

    def reset_parameters(self) -> None:
        """Glorot input weights, orthogonal recurrent blocks; LN weights 1 and biases 0."""
        for block in self.from_input.weight.data.split(self.hidden):  # [H, I]
            nn.init.xavier_uniform_(block)
        for block in self.from_hidden.weight.data.split(self.hidden):  # [H, H]
            nn.init.orthogonal_(block)
        for norm in (self.input_norm, self.hidden_norm, self.input_norm_n, self.hidden_norm_n):
            norm.reset_parameters()

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> State:
        """See ``Cell.forward``."""
        (h,), sizes = state, [2 * self.hidden, self.hidden]
        x_zr, x_n = self.from_input(x).split(sizes, -1)  # [B, 2H], [B, H]
        h_zr, h_n = self.from_hidden(h).split(sizes, -1)  # [B, 2H], [B, H]
        sums, n = self.input_norm(x_zr) + self.hidden_norm(h_zr), self.input_norm_n(x_n)
        if gates is not None:
            added_zr, added_n = gates.split(sizes, -1)  # [B, 2H], [B, H]
            sums, n = sums + added_zr, n + added_n
        z, r = torch.sigmoid(sums).split([self.hidden] * 2, -1)  # [B, H] each
        n = torch.tanh(n + r * self.hidden_norm_n(h_n))  # [B, H]
        return (h + z * (n - h),)
