"""What the minimal cells of Feng et al. 2024 share ("Were RNNs All We Needed?",
https://arxiv.org/abs/2410.01201): gates and candidate see the input alone, so the state is a linear
recurrence, and training computes all time steps at once; see ``models.scan``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.activations import ACTIVATIONS, Activation
from edgernn.models.cells.base import InputGatedCell, State
from edgernn.models.cells.compact import CompactCell, copied
from edgernn.models.cells.options import CellOptions
from edgernn.models.scan import gated_scan


class MinimalOptions(CellOptions):
    """``activation`` is of the candidate, which is linear in the paper's section 3."""

    activation: Activation = "linear"


class _CompactMinimal(CompactCell):
    """One product, and none where it is folded."""

    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, Minimal)
        self.from_input = None if folded else copied(*self.input_product(cell))
        self.split = cell.split

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``Minimal.forward``."""
        from_x = x if self.from_input is None else self.from_input(x)  # [1, B, gH]
        z, n = self.split(from_x if gates is None else from_x + gates)  # [1, B, H] each
        return (state[0] + torch.sigmoid(z) * (n - state[0]),)


class Minimal(InputGatedCell):
    """``h' = (1 - σ(z)) ⊙ h + σ(z) ⊙ n``; subclasses set ``gates`` and implement ``split``."""

    states = ("h",)
    options_kind = MinimalOptions
    compact = _CompactMinimal
    options: MinimalOptions

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.activate = ACTIVATIONS[self.options.activation]

    def split(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """Return z, whose σ is what is let in, and the candidate n, ``[…, H]`` each, of what the
        gates get, ``[…, gH]``.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> State:
        """See ``Cell.forward``."""
        z, n = self.split(self.to_gates(x, gates))  # [B, H] each
        return (state[0] + torch.sigmoid(z) * (n - state[0]),)

    def over_time(
        self, x: Tensor, state: State, gates: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See ``Cell.over_time``; all steps at once, in the numbers of the state."""
        from_x = self.to_gates(x.transpose(0, 1), gates)  # [T, B, gH]
        z, n = self.split(from_x.to(state[0].dtype))  # [T, B, H] each
        y = gated_scan(torch.sigmoid(z), n, state[0])
        return y.transpose(0, 1), (y[-1],)
