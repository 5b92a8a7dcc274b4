"""Branches on values that make no difference are followed; others are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)


class Shortcut(Gru):
    """Where no row is to be reset, none is multiplied; and a check that raises."""

    def forward(self, x: Tensor, starts: Tensor, h: Tensor | None = None) -> Any:
        h = x.new_zeros(len(x), 4) if h is None else h
        if torch.any(torch.isnan(x)):
            raise ValueError("not a number")
        if not torch.all(starts == 0):
            h = h * (starts == 0)[:, None]
        h = self.cell(x, h)
        return h.sum(1), h


class Real(Gru):
    """A branch that makes a difference."""

    def forward(self, x: Tensor, starts: Tensor, h: Tensor | None = None) -> Any:
        h = self.cell(x, h)
        if torch.any(starts != 0):
            h = torch.relu(h)
        return h.sum(1), h


_INPUTS = {"x": "float32[batch, 3]", "starts": "bool[batch]"}


def test_a_shortcut_is_followed():
    assert prove(hoist(drawn(Shortcut()), _INPUTS), steps=64).error <= 1e-5
    assert torch.is_grad_enabled()  # the graphs of its ways were run


def test_a_branch_that_makes_a_difference_is_refused():
    with pytest.raises(ContractError, match=r"test_branches.py:\d+ turns a value"):
        hoist(drawn(Real()), _INPUTS)
