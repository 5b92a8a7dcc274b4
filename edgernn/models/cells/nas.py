"""The searched cell of Zoph & Le 2016 (https://arxiv.org/abs/1611.01578, the cell drawn in the
appendix), as TF1's and TensorFlow Addons' ``NASCell`` without a projection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.cells.base import GatedCell, InputGatedCell, State
from edgernn.models.cells.compact import CompactCell, copied, reordered


class _CompactNAS(CompactCell):
    """One product: both halves of block 4, which are multiplied, are rows of it, with zeros for
    what they do not see. Blocks of one function stand together.
    """

    order = (0, 2, 5, 7, 1, 4, 6, 3)  # four sigmoids, relu, two tanh, the one of halves

    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, NAS)
        self.summed = 7 * cell.hidden
        u = reordered(cell.from_hidden.weight, self.order, axis=0)  # [8H, H]
        own = cell.from_hidden.bias.split(cell.hidden)[self.order[-1]]  # [H]
        self.from_hidden = self.joined = None
        if folded:
            self.from_hidden = copied(u, torch.cat((own.new_zeros(self.summed), own)))
            return
        w, b = self.input_product(cell)  # [8H, I], [8H]
        sums, u_4 = u.split([self.summed, cell.hidden])
        of_h = torch.cat((sums, torch.zeros_like(u_4), u_4))  # [9H, H]
        of_x = torch.cat((w, w.new_zeros(cell.hidden, cell.inputs)))  # [9H, I]
        self.joined = copied(torch.cat((of_x, of_h), 1), torch.cat((b, own)))

    @classmethod
    def input_product(cls, cell: InputGatedCell) -> tuple[Tensor, Tensor]:
        """See ``CompactCell.input_product``; the state's bias goes along but for block 4."""
        assert isinstance(cell, GatedCell)
        w, b = super().input_product(cell)
        other = reordered(cell.from_hidden.bias, cls.order, axis=0).clone()
        other[-cell.hidden :] = 0
        return w, b + other

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``NAS.advance``."""
        sizes = [self.summed, self.hidden]
        if self.joined is not None:
            made = self.joined(torch.cat((x, state[0]), 2))  # [1, B, 9H]
            sums, x_4, h_4 = made.split([*sizes, self.hidden], 2)
        else:
            assert self.from_hidden is not None
            (x_sums, x_4), (h_sums, h_4) = (
                each.split(sizes, 2) for each in (x, self.from_hidden(state[0]))
            )
            sums = x_sums + h_sums  # [1, B, 7H]
        if gates is not None:
            added, added_4 = reordered(gates, self.order, axis=2).split(sizes, 2)
            sums, x_4 = sums + added, x_4 + added_4
        return self.ending(sums, x_4 * h_4, state)

    def ending(self, sums: Tensor, product: Tensor, state: State) -> State:
        """Return the state after a step, given all blocks but 4, ``[1, B, 7H]``, and block 4."""
        sigmoids, s_2, tanhs = sums.split([4 * self.hidden, self.hidden, 2 * self.hidden], 2)
        s_1, s_3, s_6, s_8 = torch.sigmoid(sigmoids).split([self.hidden] * 4, 2)  # [1, B, H] each
        s_5, s_7 = torch.tanh(tanhs).split([self.hidden] * 2, 2)
        a_1 = torch.tanh(s_1 * torch.relu(s_2))  # [1, B, H] each
        a_2 = torch.tanh(s_3 + torch.relu(product))
        a_34 = torch.tanh(s_5 * s_6) + torch.sigmoid(s_7 + s_8)
        c = torch.tanh(a_1 + state[1]) * a_2
        return torch.tanh(c * torch.tanh(a_34)), c


class NAS(GatedCell):
    r"""With the eight blocks of rows in the order of ``NASCell``::

    a_1 = tanh(σ(x_1 + h_1) ⊙ relu(x_2 + h_2))         a_2 = tanh(σ(x_3 + h_3) + relu(x_4 ⊙ h_4))
    a_3 = tanh(tanh(x_5 + h_5) ⊙ σ(x_6 + h_6))         a_4 = σ(tanh(x_7 + h_7) + σ(x_8 + h_8))
    c' = tanh(a_1 + c) ⊙ a_2                           h' = tanh(c' ⊙ tanh(a_3 + a_4))

    In block 4 the halves are multiplied. ``NASCell``'s bias, where it has one, is of the half of h.
    """

    states = ("h", "c")
    gates = 8
    compact = _CompactNAS

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        _, _, _, x_4, *_ = x.split([self.hidden] * 8, -1)  # [B, H] each
        _, _, _, h_4, *_ = h.split([self.hidden] * 8, -1)
        s_1, s_2, s_3, _, s_5, s_6, s_7, s_8 = (x + h).split([self.hidden] * 8, -1)
        a_1 = torch.tanh(torch.sigmoid(s_1) * torch.relu(s_2))  # [B, H] each
        a_2 = torch.tanh(torch.sigmoid(s_3) + torch.relu(x_4 * h_4))
        a_3 = torch.tanh(torch.tanh(s_5) * torch.sigmoid(s_6))
        a_4 = torch.sigmoid(torch.tanh(s_7) + torch.sigmoid(s_8))
        c = torch.tanh(a_1 + state[1]) * a_2
        return torch.tanh(c * torch.tanh(a_3 + a_4)), c
