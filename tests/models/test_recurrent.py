"""The two faces of a recurrent stack compute the documented equations from the same weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgernn.contract import CELL_STATES
from edgernn.errors import UsageError
from edgernn.models.recurrent import CELLS, RecurrentStack, State, StepStack, cell_row, zero_state
from edgernn.sessions.torch_kernels import plain_kernels

INPUT, HIDDEN, BATCH, STEPS = 5, 7, 3, 12
Numbers = tuple[np.ndarray, ...]


def stack_of(cell: str, layers: int = 2) -> RecurrentStack:
    """A seeded stack with noise on every parameter, so that no bias is zero and no layer equals
    another.
    """
    torch.manual_seed(11)
    stack = RecurrentStack(cell, INPUT, hidden=HIDDEN, layers=layers)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.mul_(0.7).add_(0.1 * torch.randn_like(parameter))
    return stack.eval()


def random_state(cell: str, layers: int) -> State:
    return tuple(torch.rand(layers, BATCH, HIDDEN) - 0.5 for _ in CELL_STATES[cell])


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


@pytest.mark.parametrize("layers", [1, 2, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_both_faces_take_the_same_steps(cell: str, layers: int) -> None:
    fused = stack_of(cell, layers)
    step = StepStack(fused)
    x = torch.randn(BATCH, STEPS, INPUT)
    by_fused = by_step = random_state(cell, layers)
    with plain_kernels():
        for t in range(STEPS):
            y_fused, by_fused = fused(x[:, t : t + 1], by_fused)
            y_step, by_step = step(x[:, t : t + 1], by_step)
            for wanted, found in zip((y_fused, *by_fused), (y_step, *by_step), strict=True):
                assert wanted.shape == found.shape
                torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_one_call_over_time_equals_chained_steps(cell: str) -> None:
    fused = stack_of(cell)
    step = StepStack(fused)
    x, start = torch.randn(BATCH, STEPS, INPUT), random_state(cell, 2)
    with plain_kernels():
        whole, after = fused(x, start)
        state, outputs = start, []
        for t in range(STEPS):
            y, state = step(x[:, t : t + 1], state)
            outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, rtol=0, atol=1e-6)
    torch.testing.assert_close(state, after, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_its_documented_equation(cell: str) -> None:
    gates, count = CELLS[cell].gates, len(CELL_STATES[cell])
    random = np.random.default_rng(5)
    x, hidden = random.normal(size=(2, BATCH, gates * HIDDEN))
    state = tuple(random.normal(size=(count, BATCH, HIDDEN)))
    expected = EQUATIONS[cell](x, hidden, state)
    found = CELLS[cell].step(
        torch.from_numpy(x), torch.from_numpy(hidden), tuple(map(torch.from_numpy, state))
    )
    assert len(found) == len(expected) == count
    for want, have in zip(expected, found, strict=True):
        np.testing.assert_allclose(have.numpy(), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_fused_face_is_the_documented_equations(cell: str) -> None:
    stack = stack_of(cell).double()
    x, start = (
        torch.randn(BATCH, STEPS, INPUT).double(),
        tuple(tensor.double() for tensor in random_state(cell, 2)),
    )
    with torch.no_grad():
        y, after = stack(x, start)
    weights = [[tensor.detach().numpy() for tensor in stack.weights(layer)] for layer in range(2)]
    state = [tuple(tensor[layer].numpy() for tensor in start) for layer in range(2)]
    for t in range(STEPS):
        signal = x[:, t].numpy()  # [B, I]
        for layer, (w_ih, w_hh, b_ih, b_hh) in enumerate(weights):
            state[layer] = EQUATIONS[cell](
                signal @ w_ih.T + b_ih, state[layer][0] @ w_hh.T + b_hh, state[layer]
            )
            signal = state[layer][0]
        np.testing.assert_allclose(y[:, t].numpy(), signal, rtol=0, atol=1e-10)
    for index, tensor in enumerate(after):
        np.testing.assert_allclose(
            tensor.numpy(), np.stack([layer[index] for layer in state]), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("cell", CELLS)
def test_the_step_face_shares_the_parameters(cell: str) -> None:
    fused = stack_of(cell)
    step = StepStack(fused)
    original = {id(parameter) for parameter in fused.parameters()}
    assert {id(parameter) for parameter in step.parameters()} == original
    x, state = torch.randn(BATCH, 1, INPUT), random_state(cell, 2)
    with torch.no_grad():
        before, _ = step(x, state)
        for parameter in fused.parameters():
            parameter.add_(0.05)
        torch.testing.assert_close(step(x, state)[0], fused(x, state)[0], rtol=0, atol=1e-6)
        assert not torch.equal(step(x, state)[0], before)


@pytest.mark.parametrize("steps", [0, 2, 7])
def test_the_step_face_takes_one_time_step(steps: int) -> None:
    step = StepStack(stack_of("lstm"))
    with pytest.raises(ValueError, match=f"takes one time step, got {steps}"):
        step(torch.zeros(BATCH, steps, INPUT), random_state("lstm", 2))


def test_the_forget_gate_starts_open_once() -> None:
    stack = RecurrentStack("lstm", INPUT, hidden=HIDDEN, layers=3)
    for layer in range(3):
        _, _, b_ih, b_hh = stack.weights(layer)
        expected = torch.zeros(4 * HIDDEN)
        expected[HIDDEN : 2 * HIDDEN] = 1.0  # rows i, f, g, o
        assert torch.equal(b_ih + b_hh, expected)


@pytest.mark.parametrize("cell", ["gru", "rnn", "rnn_relu"])
def test_other_biases_start_at_zero(cell: str) -> None:
    stack = RecurrentStack(cell, INPUT, hidden=HIDDEN, layers=2)
    assert not any(bias.any() for layer in range(2) for bias in stack.weights(layer)[2:])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_every_recurrent_block_starts_orthogonal(cell: str) -> None:
    stack = RecurrentStack(cell, INPUT, hidden=HIDDEN, layers=2)
    for layer in range(2):
        blocks = stack.weights(layer)[1].detach().split(HIDDEN)
        assert len(blocks) == CELLS[cell].gates
        for block in blocks:
            torch.testing.assert_close(block @ block.T, torch.eye(HIDDEN), rtol=0, atol=1e-5)
            assert not torch.equal(block, torch.eye(HIDDEN))


def test_a_rectified_network_starts_from_the_identity() -> None:
    stack = RecurrentStack("rnn_relu", INPUT, hidden=HIDDEN, layers=2)
    for layer in range(2):
        assert torch.equal(stack.weights(layer)[1], torch.eye(HIDDEN))


def test_an_unknown_cell() -> None:
    for make in (cell_row, lambda name: RecurrentStack(name, INPUT, hidden=HIDDEN, layers=1)):
        with pytest.raises(
            UsageError, match="unknown cell 'elman'; expected one of lstm, gru, rnn, rnn_relu"
        ):
            make("elman")


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_of_zeros_has_a_tensor_of_its_own_per_state(cell: str) -> None:
    state = zero_state(cell, layers=2, batch=BATCH, hidden=HIDDEN)
    assert len(state) == len(CELL_STATES[cell])
    assert len({tensor.data_ptr() for tensor in state}) == len(state)
    for tensor in state:
        assert (tensor.shape, tensor.dtype) == ((2, BATCH, HIDDEN), torch.float32)
        assert not tensor.any()


def test_every_cell_has_states_and_a_layer() -> None:
    assert CELLS.keys() == CELL_STATES.keys()
