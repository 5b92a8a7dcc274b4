"""The LSTM whose output is projected to fewer numbers (Sak et al. 2014, without peepholes; torch's
``proj_size``).
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined, copied
from edgernn.models.cells.options import CellOptions


class Projected(CellOptions):
    """``projection`` is P, the width of h; as wide as c where it is 0."""

    projection: int = Field(default=0, ge=0, le=1 << 20)


class _CompactProjectedLSTM(Joined):
    order = (0, 1, 3, 2)  # i, f, o, g: one sigmoid serves three gates

    def __init__(self, cell: GatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, ProjectedLSTM)
        self.projection = copied(cell.projection.weight, None)

    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending`` and ``ProjectedLSTM.advance``."""
        sigmoids, g = gates.split([3 * self.hidden, self.hidden], 2)  # [1, B, 3H], [1, B, H]
        i, f, o = torch.sigmoid(sigmoids).split([self.hidden] * 3, 2)  # [1, B, H] each
        c = f * state[1] + i * torch.tanh(g)  # [1, B, H]
        return self.projection(o * torch.tanh(c)), c  # [1, B, P], [1, B, H]


class ProjectedLSTM(GatedCell):
    r"""With the rows in the order i, f, g, o, h ``[B, P]`` and c ``[B, H]``::

    i = σ(x_i + h_i)    f = σ(x_f + h_f)    g = tanh(x_g + h_g)    o = σ(x_o + h_o)
    c' = f ⊙ c + i ⊙ g                      h' = W_p (o ⊙ tanh(c'))
    """

    states = ("h", "c")
    options_kind = Projected
    gates = 4
    compact = _CompactProjectedLSTM
    options: Projected

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        output = self.widths(hidden, self.options)[0]
        self.projection = nn.Linear(hidden, output, bias=False)

    @classmethod
    def widths(cls, hidden: int, options: CellOptions) -> tuple[int, ...]:
        """See ``Cell.widths``."""
        assert isinstance(options, Projected)
        return (options.projection or hidden, hidden)

    def reset_parameters(self) -> None:
        """As every gated cell, the forget gate's bias 1 as an LSTM's, and a Glorot projection."""
        super().reset_parameters()
        self.from_input.bias.data[self.hidden : 2 * self.hidden] = 1.0
        nn.init.xavier_uniform_(self.projection.weight)

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        i, f, g, o = (x + h).chunk(4, dim=-1)  # [B, H] each
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)  # [B, H]
        return self.projection(torch.sigmoid(o) * torch.tanh(c)), c  # [B, P], [B, H]
