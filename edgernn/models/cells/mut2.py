"""MUT2 of Jozefowicz, Zaremba & Sutskever 2015; see ``mut``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgernn.models.cells.base import InputGatedCell, State
from edgernn.models.cells.mut import CompactEvolved, Evolved, let_in


class _CompactMUT2(CompactEvolved):
    blocks = (2, 1)

    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, MUT2)
        self.to_gates, self.to_new = self.along(cell.from_hidden, 0), self.along(cell.from_reset, 1)

    def advance(self, x: Sequence[Tensor], h: Tensor, added: Sequence[Tensor | None]) -> State:
        """See ``CompactEvolved.advance`` and ``MUT2.advance``."""
        z, r = torch.sigmoid(self.to_gates(x[0], h, added[0])).split([self.hidden] * 2, 2)
        return let_in(z, torch.tanh(self.to_new(x[1], r * h, added[1])), h)


class MUT2(Evolved):
    r"""With the rows in the order z, r, n, of ``from_hidden`` z, r, and W_hh in ``from_reset``::

    z = σ(W_xz x + W_hz h + b_z)    r = σ(P x + W_hr h + b_r)
    h' = tanh(W_hh (r ⊙ h) + W_xh x + b_h) ⊙ z + h ⊙ (1 - z)
    """

    compact = _CompactMUT2
    carried = 2
    itself = 1

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``; ``h`` is ``[B, 2H]``."""
        x_zr, x_n = x.split([2 * self.hidden, self.hidden], -1)  # [B, 2H], [B, H]
        z, r = torch.sigmoid(x_zr + h).split([self.hidden] * 2, -1)  # [B, H] each
        n = torch.tanh(self.from_reset(r * state[0]) + x_n)  # [B, H]
        return let_in(z, n, state[0])
