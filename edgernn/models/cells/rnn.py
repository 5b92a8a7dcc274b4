"""The vanilla RNN (Elman 1990), and the rectified one (Le et al. 2015)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from edgernn.models.activations import ACTIVATIONS
from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined
from edgernn.models.cells.options import Activated, CellOptions


class _CompactRNN(Joined):
    def __init__(self, cell: GatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, RNN)
        self.activate = cell.activate

    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending``."""
        return (self.activate(gates),)


class _CompactRectifiedRNN(Joined):
    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending``."""
        return (torch.relu(gates),)


class RNN(GatedCell):
    """``h' = tanh(x + h)``; the option ``activation`` stands for tanh."""

    states = ("h",)
    options_kind = Activated
    gates = 1
    fused = nn.RNN
    compact = _CompactRNN
    options: Activated

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.activate = ACTIVATIONS[self.options.activation]

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        return (self.activate(x + h),)


class RectifiedRNN(GatedCell):
    """``h' = max(0, x + h)``; it starts from the identity, as Le et al. 2015."""

    states = ("h",)
    gates = 1
    fused = staticmethod(partial(nn.RNN, nonlinearity="relu"))
    compact = _CompactRectifiedRNN

    def reset_recurrent(self, block: Tensor) -> None:
        """See ``GatedCell.reset_recurrent``."""
        nn.init.eye_(block)

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        return (torch.relu(x + h),)
