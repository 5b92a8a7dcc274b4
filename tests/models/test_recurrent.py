"""Stacks: two faces of one set of parameters, under the names by which checkpoints know them."""

from __future__ import annotations

import pytest
import torch

from edgernn.models.cells.table import FUSED, cell_class
from edgernn.models.recurrent import CellStack, RecurrentStack, make_stack, zero_state

INPUT, HIDDEN, BATCH = 5, 7, 3


def steps_of(cell: str, layers: int, *, dropout: float = 0.0) -> CellStack:
    torch.manual_seed(11)
    cells = make_stack(cell, INPUT, hidden=HIDDEN, layers=layers).cells()
    return CellStack(cells, dropout=dropout, by_part=True)


@pytest.mark.parametrize("cell", FUSED)
def test_the_step_face_shares_the_parameters(cell: str) -> None:
    stack = make_stack(cell, INPUT, hidden=HIDDEN, layers=2)
    step = CellStack(stack.cells())
    original = {id(parameter) for parameter in stack.parameters()}
    assert {id(parameter) for parameter in step.parameters()} == original
    x, state = (
        torch.randn(BATCH, 1, INPUT),
        zero_state(cell, layers=2, batch=BATCH, hidden=HIDDEN),
    )
    with torch.no_grad():
        before, _ = step(x, state)
        for parameter in stack.parameters():
            parameter.add_(0.05)
        torch.testing.assert_close(step(x, state)[0], stack(x, state)[0], rtol=0, atol=1e-6)
        assert not torch.equal(step(x, state)[0], before)


def test_parameters_keep_the_names_and_the_order_of_checkpoints() -> None:
    parts = ("from_input", "from_hidden")
    assert [name for name, _ in steps_of("gru", 2).named_parameters()] == [
        f"{part}.{layer}.{kind}"
        for part in parts
        for layer in range(2)
        for kind in ("weight", "bias")
    ]
    plain = CellStack(steps_of("gru", 1).cells())
    assert {name for name, _ in plain.named_parameters()} == {
        f"layers.0.{part}.{kind}" for part in parts for kind in ("weight", "bias")
    }
    fused = RecurrentStack("lstm", INPUT, hidden=HIDDEN, layers=1)
    assert [name for name, _ in fused.named_parameters()] == [
        f"fused.{name}_l0" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]


def test_dropout_acts_between_layers_in_training_alone() -> None:
    x, state = torch.randn(BATCH, 2, INPUT), zero_state("rnn", layers=2, batch=BATCH, hidden=HIDDEN)
    plain, dropping = steps_of("rnn", 2), steps_of("rnn", 2, dropout=0.5)
    wanted, (kept,) = plain(x, state)
    found, (after,) = dropping.train()(x, state)
    assert torch.equal(after[0], kept[0])  # nothing is dropped before the first layer
    assert not torch.equal(found, wanted)
    assert torch.equal(dropping.eval()(x, state)[0], wanted)


@pytest.mark.parametrize("cell", FUSED)
def test_the_state_of_zeros_has_a_tensor_of_its_own_per_state(cell: str) -> None:
    state = zero_state(cell, layers=2, batch=BATCH, hidden=HIDDEN)
    assert len(state) == len(cell_class(cell).states)
    assert len({tensor.data_ptr() for tensor in state}) == len(state)
    for tensor in state:
        assert (tensor.shape, tensor.dtype) == ((2, BATCH, HIDDEN), torch.float32)
        assert not tensor.any()
