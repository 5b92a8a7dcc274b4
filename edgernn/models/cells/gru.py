"""The GRU whose reset gate acts AFTER the hidden product, as in cuDNN and torch (Cho et al. 2014,
version 1; ONNX ``linear_before_reset = 1``).
"""

from __future__ import annotations

from torch import Tensor, nn

from edgernn.models.activations import ACTIVATIONS
from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import CompactCell, copied
from edgernn.models.cells.options import CellOptions, GateActivated


class _CompactGRU(CompactCell):
    """The reset gate stands between the two products, so they stay apart."""

    def __init__(self, cell: GatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, GRU)
        self.gate, self.activate = cell.gate, cell.activate
        self.from_input = None if folded else copied(*self.input_product(cell))
        self.from_hidden = copied(cell.from_hidden.weight, cell.from_hidden.bias)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``GRU.advance``."""
        from_x = x if self.from_input is None else self.from_input(x)  # [1, B, 3H]
        from_x = from_x if gates is None else from_x + gates
        sizes = [2 * self.hidden, self.hidden]
        x_rz, x_n = from_x.split(sizes, 2)  # [1, B, 2H], [1, B, H]
        h_rz, h_n = self.from_hidden(state[0]).split(sizes, 2)  # [1, B, 2H], [1, B, H]
        r, z = self.gate(x_rz + h_rz).split([self.hidden] * 2, 2)  # [1, B, H] each
        n = self.activate(x_n + r * h_n)  # [1, B, H]
        return (n + z * (state[0] - n),)


class GRU(GatedCell):
    r"""With the rows in the order r, z, n::

    r = σ(x_r + h_r)    z = σ(x_z + h_z)    n = tanh(x_n + r ⊙ h_n)    h' = (1 - z) ⊙ n + z ⊙ h

    The option ``activation`` stands for tanh, ``recurrent_activation`` for σ (as in Keras).
    """

    states = ("h",)
    options_kind = GateActivated
    gates = 3
    fused = nn.GRU
    compact = _CompactGRU
    options: GateActivated

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.gate = ACTIVATIONS[self.options.recurrent_activation]
        self.activate = ACTIVATIONS[self.options.activation]

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        x_r, x_z, x_n = x.chunk(3, dim=-1)  # [B, H] each
        h_r, h_z, h_n = h.chunk(3, dim=-1)  # [B, H] each
        z = self.gate(x_z + h_z)  # [B, H]
        n = self.activate(x_n + self.gate(x_r + h_r) * h_n)  # [B, H]
        return (n + z * (state[0] - n),)
