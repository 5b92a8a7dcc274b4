"""What the three evolved cells of Jozefowicz, Zaremba & Sutskever 2015 share (section 4, "An
Empirical Exploration of Recurrent Network Architectures"): a candidate behind a reset gate, and an
update gate z that lets it in.

Where the paper has x itself (in MUT1's candidate and MUT2's reset gate), x must be as wide as h.
Here P x stands for it, which takes any width: P is a block of ``from_input``, trained as the others
are, and starts as the identity where the widths are equal, which is the paper's cell.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from edgernn.models.cells.base import GatedCell, State
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


def let_in(z: Tensor, n: Tensor, h: Tensor) -> State:
    """Return ``z ⊙ n + (1 - z) ⊙ h``, of ``[B, H]`` each, as the state."""
    return (h + z * (n - h),)
