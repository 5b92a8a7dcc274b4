"""MUT1 of Jozefowicz, Zaremba & Sutskever 2015; see ``mut``."""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.cells.base import InputGatedCell, State
from edgernn.models.cells.compact import CompactCell, copied
from edgernn.models.cells.mut import Evolved, let_in


class _CompactMUT1(CompactCell):
    """The input's product is one for all gates, with the bias of the reset gate."""

    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, MUT1)
        self.from_input = None if folded else copied(*self.input_product(cell))
        self.from_hidden = copied(cell.from_hidden.weight, None)
        self.from_reset = copied(cell.from_reset.weight, cell.from_reset.bias)

    @classmethod
    def input_product(cls, cell: InputGatedCell) -> tuple[Tensor, Tensor]:
        """See ``CompactCell.input_product``; the reset gate's two biases are only ever summed."""
        assert isinstance(cell, MUT1)
        w, b = super().input_product(cell)
        none = torch.zeros_like(cell.from_hidden.bias)
        return w, b + torch.cat((none, cell.from_hidden.bias, none))

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``MUT1.advance``."""
        h = state[0]
        from_x = x if self.from_input is None else self.from_input(x)  # [1, B, 3H]
        from_x = from_x if gates is None else from_x + gates
        z, x_r, x_n = from_x.split([self.hidden] * 3, 2)  # [1, B, H] each
        kept = torch.sigmoid(x_r + self.from_hidden(h)) * h  # [1, B, H]
        n = torch.tanh(self.from_reset(kept) + torch.tanh(x_n))  # [1, B, H]
        return let_in(torch.sigmoid(z), n, h)


class MUT1(Evolved):
    r"""With the rows in the order z, r, n, of ``from_hidden`` r, and W_hh in ``from_reset``::

    z = σ(W_xz x + b_z)    r = σ(W_xr x + W_hr h + b_r)
    h' = tanh(W_hh (r ⊙ h) + tanh(P x) + b_h) ⊙ z + h ⊙ (1 - z)
    """

    compact = _CompactMUT1
    itself = 2

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``; ``h`` is ``[B, H]``."""
        z, r, x_n = x.split([self.hidden] * 3, -1)  # [B, H] each
        kept = torch.sigmoid(r + h) * state[0]  # [B, H]
        n = torch.tanh(self.from_reset(kept) + torch.tanh(x_n))  # [B, H]
        return let_in(torch.sigmoid(z), n, state[0])
