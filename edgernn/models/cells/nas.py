"""The searched cell of Zoph & Le 2016 (https://arxiv.org/abs/1611.01578, the cell drawn in the
appendix), as TF1's and TensorFlow Addons' ``NASCell`` without a projection.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.cells.base import GatedCell, State


class NAS(GatedCell):
    r"""With the eight blocks of rows in the order of ``NASCell``::

    a_1 = tanh(σ(x_1 + h_1) ⊙ relu(x_2 + h_2))         a_2 = tanh(σ(x_3 + h_3) + relu(x_4 ⊙ h_4))
    a_3 = tanh(tanh(x_5 + h_5) ⊙ σ(x_6 + h_6))         a_4 = σ(tanh(x_7 + h_7) + σ(x_8 + h_8))
    c' = tanh(a_1 + c) ⊙ a_2                           h' = tanh(c' ⊙ tanh(a_3 + a_4))

    In block 4 the halves are multiplied. ``NASCell``'s bias, where it has one, is of the half of h.
    """

    states = ("h", "c")
    gates = 8

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
