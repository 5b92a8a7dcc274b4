"""MUT1 of Jozefowicz, Zaremba & Sutskever 2015; see ``mut``."""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.cells.base import State
from edgernn.models.cells.mut import Evolved, let_in


class MUT1(Evolved):
    r"""With the rows in the order z, r, n, of ``from_hidden`` r, and W_hh in ``from_reset``::

    z = σ(W_xz x + b_z)    r = σ(W_xr x + W_hr h + b_r)
    h' = tanh(W_hh (r ⊙ h) + tanh(P x) + b_h) ⊙ z + h ⊙ (1 - z)
    """

    itself = 2

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``; ``h`` is ``[B, H]``."""
        z, r, x_n = x.split([self.hidden] * 3, -1)  # [B, H] each
        kept = torch.sigmoid(r + h) * state[0]  # [B, H]
        n = torch.tanh(self.from_reset(kept) + torch.tanh(x_n))  # [B, H]
        return let_in(torch.sigmoid(z), n, state[0])
