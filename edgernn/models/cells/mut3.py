"""MUT3 of Jozefowicz, Zaremba & Sutskever 2015; see ``mut``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import InputGatedCell, State
from edgernn.models.cells.mut import CompactEvolved, Evolved, let_in
from edgernn.models.cells.options import CellOptions


class _CompactMUT3(CompactEvolved):
    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, MUT3)
        self.to_z, self.to_r = self.along(cell.from_squashed, 0), self.along(cell.from_hidden, 1)
        self.to_new = self.along(cell.from_reset, 2)

    def advance(self, x: Sequence[Tensor], h: Tensor, added: Sequence[Tensor | None]) -> State:
        """See ``CompactEvolved.advance`` and ``MUT3.advance``."""
        z = torch.sigmoid(self.to_z(x[0], torch.tanh(h), added[0]))  # [1, B, H]
        r = torch.sigmoid(self.to_r(x[1], h, added[1]))  # [1, B, H]
        return let_in(z, torch.tanh(self.to_new(x[2], r * h, added[2])), h)


class MUT3(Evolved):
    r"""With the rows in the order z, r, n, of ``from_hidden`` r, W_hz in ``from_squashed`` and W_hh
    in ``from_reset``::

    z = σ(W_xz x + W_hz tanh(h) + b_z)    r = σ(W_xr x + W_hr h + b_r)
    h' = tanh(W_hh (r ⊙ h) + W_xh x + b_h) ⊙ z + h ⊙ (1 - z)
    """

    compact = _CompactMUT3

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
