"""What the three evolved cells of Jozefowicz, Zaremba & Sutskever 2015 share (section 4, "An
Empirical Exploration of Recurrent Network Architectures"): a candidate behind a reset gate, and an
update gate z that lets it in.

Where the paper has x itself (in MUT1's candidate and MUT2's reset gate), x must be as wide as h.
Here P x stands for it, which takes any width: P is a block of ``from_input``, trained as the others
are, and starts as the identity where the widths are equal, which is the paper's cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from edgernn.models.cells.base import GatedCell, InputGatedCell, State
from edgernn.models.cells.compact import Along, CompactCell
from edgernn.models.cells.options import CellOptions


class Evolved(GatedCell):
    """A cell whose rows of ``from_input`` are z, r, n; n's product with r ⊙ h is ``from_reset``.
    Subclasses set the rows of ``from_hidden`` and which block is P, and implement ``advance``.

    Attributes:
        carried: blocks of rows of ``from_hidden``.
        itself: the place of P among the blocks of ``from_input``; None where there is none.
    """

    states = ("h",)
    gates = 3
    carried: ClassVar[int] = 1
    itself: ClassVar[int | None] = None

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.from_hidden = nn.Linear(hidden, self.carried * hidden)
        self.from_reset = nn.Linear(hidden, hidden)

    def reset_parameters(self) -> None:
        """As every gated cell; P the identity where I = H."""
        super().reset_parameters()
        self.reset_recurrent(self.from_reset.weight.data)
        nn.init.zeros_(self.from_reset.bias)
        if self.itself is not None and self.inputs == self.hidden:
            nn.init.eye_(self.from_input.weight.data.split(self.hidden)[self.itself])


class CompactEvolved(CompactCell):
    """Each product of the state takes what of the input it is added to along. Subclasses set
    ``blocks``, those of z, r, n that one product makes, make the products, and implement
    ``advance``.
    """

    blocks: ClassVar[tuple[int, ...]] = (1, 1, 1)

    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        self.folded = folded
        w, b = self.input_product(cell)  # [3H, I], [3H]
        self.inputs = list(zip(self._parts(w, 0), self._parts(b, 0), strict=True))

    def along(self, u: nn.Linear, place: int) -> Along:
        """Return the product ``u`` of the state with what one of ``blocks`` gets of the input."""
        return Along(u, *self.inputs[place], folded=self.folded)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward``."""
        count = len(self.blocks)
        given = self._parts(x, 2) if self.folded else (x,) * count
        added = (None,) * count if gates is None else self._parts(gates, 2)
        return self.advance(given, state[0], added)

    def advance(self, x: Sequence[Tensor], h: Tensor, added: Sequence[Tensor | None]) -> State:
        """Return the state after a step.

        Args:
            x: for each of ``blocks``, ``[1, B, I]``, folded ``[1, B, H]`` a block.
            h: ``[1, B, H]``.
            added: to what each of ``blocks`` gets from ``x``, or None.
        """
        raise NotImplementedError

    def _parts(self, tensor: Tensor, axis: int) -> tuple[Tensor, ...]:
        return tuple(tensor.split([count * self.hidden for count in self.blocks], axis))


def let_in(z: Tensor, n: Tensor, h: Tensor) -> State:
    """Return ``z ⊙ n + (1 - z) ⊙ h``, of ``[B, H]`` each, as the state."""
    return (h + z * (n - h),)
