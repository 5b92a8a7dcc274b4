"""MUT3 of Jozefowicz, Zaremba & Sutskever 2015; see ``mut``."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import State
from edgernn.models.cells.mut import Evolved, let_in
from edgernn.models.cells.options import CellOptions


class MUT3(Evolved):
    r"""With the rows in the order z, r, n, of ``from_hidden`` r, W_hz in ``from_squashed`` and W_hh
    in ``from_reset``::

    z = σ(W_xz x + W_hz tanh(h) + b_z)    r = σ(W_xr x + W_hr h + b_r)
    h' = tanh(W_hh (r ⊙ h) + W_xh x + b_h) ⊙ z + h ⊙ (1 - z)
    """

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.from_squashed = nn.Linear(hidden, hidden, bias=False)

    def reset_parameters(self) -> None:
        """As MUT1 and MUT2."""
        super().reset_parameters()
        self.reset_recurrent(self.from_squashed.weight.data)

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``; ``h`` is ``[B, H]``."""
        x_z, x_r, x_n = x.split([self.hidden] * 3, -1)  # [B, H] each
        z = torch.sigmoid(x_z + self.from_squashed(torch.tanh(state[0])))  # [B, H]
        kept = torch.sigmoid(x_r + h) * state[0]  # [B, H]
        return let_in(z, torch.tanh(self.from_reset(kept) + x_n), state[0])
