"""The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""

from __future__ import annotations

from torch import Tensor, nn

from edgernn.models.activations import ACTIVATIONS
from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import Joined
from edgernn.models.cells.options import CellOptions, GateActivated


class _CompactLSTM(Joined):
    order = (0, 1, 3, 2)  # i, f, o, g: one sigmoid serves three gates

    def __init__(self, cell: GatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, LSTM)
        self.gate, self.activate = cell.gate, cell.activate

    def ending(self, gates: Tensor, state: State) -> State:
        """See ``Joined.ending`` and ``LSTM.advance``."""
        sigmoids, g = gates.split([3 * self.hidden, self.hidden], 2)  # [1, B, 3H], [1, B, H]
        i, f, o = self.gate(sigmoids).split([self.hidden] * 3, 2)  # [1, B, H] each
        c = f * state[1] + i * self.activate(g)  # [1, B, H]
        return o * self.activate(c), c


class LSTM(GatedCell):
    r"""With the rows in the order i, f, g, o::

    i = σ(x_i + h_i)    f = σ(x_f + h_f)    g = tanh(x_g + h_g)    o = σ(x_o + h_o)
    c' = f ⊙ c + i ⊙ g                      h' = o ⊙ tanh(c')

    The option ``activation`` stands for both tanh, ``recurrent_activation`` for σ (as in Keras).
    """

    states = ("h", "c")
    options_kind = GateActivated
    gates = 4
    fused = nn.LSTM
    compact = _CompactLSTM
    options: GateActivated

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.gate = ACTIVATIONS[self.options.recurrent_activation]
        self.activate = ACTIVATIONS[self.options.activation]

    def reset_parameters(self) -> None:
        """As every gated cell, and the forget gate's bias 1, in ``b_ih`` alone (Gers et al. 2000;
        Jozefowicz et al. 2015).
        """
        super().reset_parameters()
        self.from_input.bias.data[self.hidden : 2 * self.hidden] = 1.0

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``."""
        i, f, g, o = (x + h).chunk(4, dim=-1)  # [B, H] each
        c_next = self.gate(f) * state[1] + self.gate(i) * self.activate(g)  # [B, H]
        return self.gate(o) * self.activate(c_next), c_next
