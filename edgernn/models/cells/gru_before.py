"""The GRU whose reset gate acts BEFORE the hidden product, as it was published (Cho et al. 2014,
version 3; ONNX ``linear_before_reset = 0``; Keras ``reset_after=False``; TF1's ``GRUCell``).

Torch7's char-rnn writes ``h' = (1 - z) ⊙ h + z ⊙ n``: the same with the rows of z negated, for
``1 - σ(a) = σ(-a)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgernn.models.activations import ACTIVATIONS
from edgernn.models.cells.base import GatedCell, State
from edgernn.models.cells.compact import CompactCell, copied
from edgernn.models.cells.options import CellOptions, GateActivated


class _CompactGRUBefore(CompactCell):
    """What the candidate's product takes stands behind the reset gate: two products, each of which
    takes the input along unless it is folded.
    """

    def __init__(self, cell: GatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, GRUBefore)
        self.gate, self.activate = cell.gate, cell.activate
        self.folded, gates = folded, 2 * cell.hidden
        u_rz, u_n = cell.from_hidden, cell.from_reset  # [2H, H], [H, H]
        if folded:
            self.from_hidden = copied(u_rz.weight, u_rz.bias)
            self.from_reset = copied(u_n.weight, u_n.bias)
            return
        w, b = self.input_product(cell)  # [3H, I], [3H]
        joined = torch.cat((w[:gates], u_rz.weight), 1)  # [2H, I + H]
        self.joined = copied(joined, b[:gates] + u_rz.bias)
        after = torch.cat((w[gates:], u_n.weight), 1)  # [H, I + H]
        self.from_reset = copied(after, b[gates:] + u_n.bias)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward`` and ``GRUBefore.advance``."""
        (h,), sizes = state, [2 * self.hidden, self.hidden]
        x_rz, x_n = x.split(sizes, 2) if self.folded else (x, x)  # [1, B, 2H], [1, B, H]
        a_rz = x_rz + self.from_hidden(h) if self.folded else self.joined(torch.cat((x, h), 2))
        added_rz, added_n = (None, None) if gates is None else gates.split(sizes, 2)
        a_rz = a_rz if added_rz is None else a_rz + added_rz  # [1, B, 2H]
        r, z = self.gate(a_rz).split([self.hidden] * 2, 2)  # [1, B, H] each
        kept = r * h  # [1, B, H]
        a_n = (
            x_n + self.from_reset(kept) if self.folded else self.from_reset(torch.cat((x, kept), 2))
        )
        n = self.activate(a_n if added_n is None else a_n + added_n)  # [1, B, H]
        return (n + z * (h - n),)


class GRUBefore(GatedCell):
    r"""With the rows in the order r, z, n, of ``from_hidden`` r, z, and n in ``from_reset``::

    r = σ(x_r + h_r)    z = σ(x_z + h_z)    n = tanh(x_n + U (r ⊙ h) + b)
    h' = (1 - z) ⊙ n + z ⊙ h

    The option ``activation`` stands for tanh, ``recurrent_activation`` for σ (as in Keras).
    """

    states = ("h",)
    options_kind = GateActivated
    gates = 3
    compact = _CompactGRUBefore
    options: GateActivated

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.from_hidden = nn.Linear(hidden, 2 * hidden)
        self.from_reset = nn.Linear(hidden, hidden)
        self.gate = ACTIVATIONS[self.options.recurrent_activation]
        self.activate = ACTIVATIONS[self.options.activation]

    def reset_parameters(self) -> None:
        """As every gated cell."""
        super().reset_parameters()
        self.reset_recurrent(self.from_reset.weight.data)
        nn.init.zeros_(self.from_reset.bias)

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """See ``GatedCell.advance``; ``h`` is ``[B, 2H]``."""
        x_r, x_z, x_n = x.chunk(3, dim=-1)  # [B, H] each
        h_r, h_z = h.chunk(2, dim=-1)  # [B, H] each
        r, z = self.gate(x_r + h_r), self.gate(x_z + h_z)  # [B, H] each
        n = self.activate(x_n + self.from_reset(r * state[0]))  # [B, H]
        return (n + z * (state[0] - n),)
