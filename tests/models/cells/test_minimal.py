"""The minimal cells over thousands of steps in float32: the scan is the steps chained, also where
gates are open or shut as far as float32 goes, and so is its gradient.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from edgernn.models.cells.minimal import Minimal
from edgernn.models.cells.table import cell_class
from edgernn.models.scan import backwards, backwards_by_halves, forwards, forwards_by_halves

INPUT, HIDDEN, BATCH, STEPS = 3, 4, 1, 4096
# how far gates go: as drawn; to 0 and 1 exactly; so far that their difference overflows
scales = pytest.mark.parametrize("scale", [1.0, 1e4, 1e38])
each_cell = pytest.mark.parametrize("name", ["min_gru", "min_lstm"])


def made(name: str, scale: float) -> tuple[Minimal, Tensor, tuple[Tensor]]:
    """A cell whose gates, and not its candidate, are ``scale`` times as drawn; inputs; a state."""
    torch.manual_seed(3)
    cell = cell_class(name)(INPUT, HIDDEN)
    assert isinstance(cell, Minimal)
    cell.reset_parameters()
    with torch.no_grad():
        cell.from_input.weight[:-HIDDEN] *= scale
    return cell, torch.rand(BATCH, STEPS, INPUT) - 0.5, (torch.randn(BATCH, HIDDEN),)


@scales
@each_cell
def test_the_scan_is_the_steps_chained(name: str, scale: float) -> None:
    cell, x, first = made(name, scale)
    trained, _ = cell.over_time(x, first)  # with a gradient
    with torch.no_grad():
        read, last = cell.over_time(x, first)
        state, each = first, []
        for t in range(STEPS):
            state = cell(x[:, t], state)
            each.append(state[0])
    wanted = torch.stack(each, 1)
    assert torch.isfinite(wanted).all()
    torch.testing.assert_close(trained, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(read, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(last, state, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e38])
@each_cell
def test_its_gradient_is_that_of_the_steps_and_finite(name: str, scale: float) -> None:
    cell, x, first = made(name, scale)
    given = torch.randn(BATCH, STEPS, HIDDEN) / STEPS
    found = []
    for over_time in (cell.over_time, super(Minimal, cell).over_time):
        y, _ = over_time(x, first)
        (y * given).sum().backward()
        found.append([parameter.grad.clone() for parameter in cell.parameters()])  # type: ignore[union-attr]
        cell.zero_grad()
    for own, wanted in zip(*found, strict=True):
        assert torch.isfinite(own).all()
        torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-5)


@scales
def test_both_ways_of_the_scan_agree(scale: float) -> None:
    random = np.random.default_rng(5)
    gates = scale * torch.from_numpy(random.normal(size=(STEPS, BATCH, HIDDEN)).astype("f4"))
    new, given = (torch.from_numpy(random.normal(size=gates.shape).astype("f4")) for _ in "ng")
    gate, first = torch.sigmoid(gates), torch.ones(BATCH, HIDDEN)
    wanted = forwards(gate, new, first)
    torch.testing.assert_close(forwards_by_halves(gate, new, first), wanted, rtol=0, atol=1e-5)
    found = backwards_by_halves(gate, new, first, wanted, given)
    wanted_gradients = backwards(gate, new, first, wanted, given)
    torch.testing.assert_close(found, wanted_gradients, rtol=0, atol=2e-4)
    assert all(torch.isfinite(gradient).all() for gradient in found)
