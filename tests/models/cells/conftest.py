"""A cell that is not of the table: one file and one row, in the tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from edgernn.models.cells import table

PEEPHOLE = '''
"""The LSTM whose gates see the cell state (Gers & Schmidhuber 2000)."""

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import GatedCell, State


class PeepholeLSTM(GatedCell):
    """i = σ(a_i + p_i ⊙ c)    f = σ(a_f + p_f ⊙ c)    c' = f ⊙ c + i ⊙ tanh(a_g)
    o = σ(a_o + p_o ⊙ c')      h' = o ⊙ tanh(c'), with the sums a in the order i, f, g, o.
    """

    states = ("h", "c")
    gates = 4

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.p_i, self.p_f, self.p_o = (nn.Parameter(torch.empty(hidden)) for _ in range(3))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        for peephole in (self.p_i, self.p_f, self.p_o):
            nn.init.uniform_(peephole, -0.1, 0.1)

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        i, f, g, o = (x + h).chunk(4, dim=-1)  # [B, H] each
        c = state[1]
        i, f = torch.sigmoid(i + self.p_i * c), torch.sigmoid(f + self.p_f * c)
        c = f * c + i * torch.tanh(g)
        return torch.sigmoid(o + self.p_o * c) * torch.tanh(c), c
'''


@pytest.fixture(scope="module", autouse=True)
def peephole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The file, where Python finds it, and the row; ``--cell peephole`` is known then."""
    folder = tmp_path_factory.mktemp("cell")
    (folder / "peephole_cell.py").write_text(PEEPHOLE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setitem(table.CELLS, "peephole", "peephole_cell:PeepholeLSTM")
        yield
    sys.modules.pop("peephole_cell", None)
