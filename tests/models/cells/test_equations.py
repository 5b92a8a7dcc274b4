"""Each cell computes its documented equations, and starts as its sources say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgernn.models.cells.base import GatedCell
from edgernn.models.cells.table import CELLS, cell_class
from edgernn.models.recurrent import RecurrentStack

INPUT, HIDDEN, BATCH, STEPS = 5, 7, 3, 12
Numbers = tuple[np.ndarray, ...]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm_equations(x: np.ndarray, hidden: np.ndarray, state: Numbers) -> Numbers:
    pre = (x + hidden).reshape(len(x), 4, -1)  # rows i, f, g, o
    i, f, o = (sigmoid(pre[:, row]) for row in (0, 1, 3))
    c = f * state[1] + i * np.tanh(pre[:, 2])
    return o * np.tanh(c), c


def gru_equations(x: np.ndarray, hidden: np.ndarray, state: Numbers) -> Numbers:
    x, hidden = x.reshape(len(x), 3, -1), hidden.reshape(len(x), 3, -1)  # rows r, z, n
    r, z = (sigmoid(x[:, row] + hidden[:, row]) for row in (0, 1))
    n = np.tanh(x[:, 2] + r * hidden[:, 2])
    return ((1 - z) * n + z * state[0],)


def rnn_equations(x: np.ndarray, hidden: np.ndarray, state: Numbers) -> Numbers:
    return (np.tanh(x + hidden),)


def rnn_relu_equations(x: np.ndarray, hidden: np.ndarray, state: Numbers) -> Numbers:
    return (np.maximum(0, x + hidden),)


EQUATIONS: dict[str, Callable[[np.ndarray, np.ndarray, Numbers], Numbers]] = {
    "lstm": lstm_equations,
    "gru": gru_equations,
    "rnn": rnn_equations,
    "rnn_relu": rnn_relu_equations,
}


def gated(stack: RecurrentStack) -> list[GatedCell]:
    cells = stack.cells()
    assert all(isinstance(cell, GatedCell) for cell in cells)
    return cells  # type: ignore[return-value]


@pytest.mark.parametrize("cell", EQUATIONS)
def test_a_step_is_its_documented_equation(cell: str) -> None:
    kind = cell_class(cell)
    random = np.random.default_rng(5)
    x, hidden = random.normal(size=(2, BATCH, kind.gates * HIDDEN))
    state = tuple(random.normal(size=(len(kind.states), BATCH, HIDDEN)))
    expected = EQUATIONS[cell](x, hidden, state)
    made = kind(INPUT, HIDDEN)
    assert isinstance(made, GatedCell)
    found = made.advance(
        torch.from_numpy(x), torch.from_numpy(hidden), tuple(map(torch.from_numpy, state))
    )
    assert len(found) == len(expected) == len(kind.states)
    for want, have in zip(expected, found, strict=True):
        np.testing.assert_allclose(have.numpy(), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", EQUATIONS)
def test_the_fused_face_is_the_documented_equations(cell: str) -> None:
    torch.manual_seed(11)
    stack = RecurrentStack(cell, INPUT, hidden=HIDDEN, layers=2).double().requires_grad_(False)
    for parameter in stack.parameters():  # no bias is zero and no layer equals another
        parameter.mul_(0.7).add_(0.1 * torch.randn_like(parameter))
    x = torch.randn(BATCH, STEPS, INPUT).double()
    start = tuple(torch.rand(2, BATCH, HIDDEN).double() - 0.5 for _ in cell_class(cell).states)
    y, after = stack(x, start)
    state = [tuple(tensor[layer].numpy() for tensor in start) for layer in range(2)]
    for t in range(STEPS):
        signal = x[:, t].numpy()  # [B, I]
        for layer, made in enumerate(gated(stack)):
            w_ih, b_ih, w_hh, b_hh = (tensor.numpy() for tensor in made.parameters())
            state[layer] = EQUATIONS[cell](
                signal @ w_ih.T + b_ih, state[layer][0] @ w_hh.T + b_hh, state[layer]
            )
            signal = state[layer][0]
        np.testing.assert_allclose(y[:, t].numpy(), signal, rtol=0, atol=1e-10)
    for index, tensor in enumerate(after):
        np.testing.assert_allclose(
            tensor.numpy(), np.stack([layer[index] for layer in state]), rtol=0, atol=1e-10
        )


def test_the_forget_gate_starts_open_once() -> None:
    expected = torch.zeros(4 * HIDDEN)
    expected[HIDDEN : 2 * HIDDEN] = 1.0  # rows i, f, g, o
    for made in gated(RecurrentStack("lstm", INPUT, hidden=HIDDEN, layers=3)):
        assert torch.equal(made.from_input.bias + made.from_hidden.bias, expected)


@pytest.mark.parametrize("cell", ["gru", "rnn", "rnn_relu"])
def test_other_biases_start_at_zero(cell: str) -> None:
    for made in gated(RecurrentStack(cell, INPUT, hidden=HIDDEN, layers=2)):
        assert not made.from_input.bias.any() and not made.from_hidden.bias.any()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_recurrent_block_starts_orthogonal(cell: str) -> None:
    for made in gated(RecurrentStack(cell, INPUT, hidden=HIDDEN, layers=2)):
        blocks = made.from_hidden.weight.detach().split(HIDDEN)
        assert len(blocks) == made.gates
        for block in blocks:
            torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN), rtol=0, atol=1e-5)
            assert not torch.equal(block, torch.eye(HIDDEN))


def test_a_rectified_network_starts_from_the_identity() -> None:
    for made in gated(RecurrentStack("rnn_relu", INPUT, hidden=HIDDEN, layers=2)):
        assert torch.equal(made.from_hidden.weight, torch.eye(HIDDEN))


def test_the_equations_are_of_cells_of_the_table() -> None:
    assert EQUATIONS.keys() <= CELLS.keys()
