"""The minimal LSTM of Feng et al. 2024, section 3.2; see ``minimal``."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from edgernn.models.cells.minimal import Minimal


class MinLSTM(Minimal):
    r"""With the rows in the order f, i, n, both gates divided by their sum::

    f = σ(x_f)    i = σ(x_i)    n = x_n    h' = f / (f + i) ⊙ h + i / (f + i) ⊙ n

    Computed is ``i / (f + i) = σ(ln i - ln f)``, which no gate's rounding to zero turns into 0 / 0.
    ``i / (f + i)`` as exact, by exponentials of numbers not above 0, is 11 operators in place of 6.
    """

    gates = 3

    def split(self, gates: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Minimal.split``."""
        f, i, n = gates.split([self.hidden] * 3, -1)  # […, H] each
        return softplus(-f) - softplus(-i), self.activate(n)
