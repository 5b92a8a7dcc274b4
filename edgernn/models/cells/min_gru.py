"""The minimal GRU of Feng et al. 2024, section 3.1; see ``minimal``."""

from __future__ import annotations

from torch import Tensor

from edgernn.models.cells.minimal import Minimal


class MinGRU(Minimal):
    r"""With the rows in the order z, n::

    z = σ(x_z)    n = x_n    h' = (1 - z) ⊙ h + z ⊙ n
    """

    gates = 2

    def split(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Minimal.split``."""
        z, n = gates.split([self.hidden] * 2, -1)  # […, H] each
        return z, self.activate(n)
