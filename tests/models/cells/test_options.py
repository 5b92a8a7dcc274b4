"""Options of cells: read from text, refused where they do not fit; what they change is the step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.cells.base import GatedCell
from edgernn.models.compact import CompactStack, input_table, is_compact
from edgernn.models.recurrent import CellStack, RecurrentStack, make_stack, state_widths, zero_state

INPUT, HIDDEN, BATCH, STEPS = 3, 4, 2, 64


def test_what_does_not_fit_is_refused_in_a_line() -> None:
    for cell, options, told in (
        ("lstm", {"activaton": "relu"}, "unknown option 'activaton' of a cell; expected one of"),
        ("lstm", {"activation": "rely"}, "activation: expected one of tanh, .*mean relu"),
        ("rnn_relu", {"activation": "relu"}, "unknown option 'activation' of a cell; it has none"),
        ("lstm_projected", {"projection": "wide"}, "projection: Input should be a valid integer"),
        ("lstm_projected", {"projection": "-1"}, "greater than or equal to 0"),
    ):
        with pytest.raises(UsageError, match=told) as caught:
            make_stack(cell, INPUT, hidden=HIDDEN, layers=1, options=options)
        assert "\n" not in str(caught.value)


def test_the_defaults_are_the_cell_itself() -> None:
    for options in ({}, {"activation": "tanh", "recurrent_activation": "sigmoid"}):
        stack = make_stack("lstm", INPUT, hidden=HIDDEN, layers=1, options=options)
        assert isinstance(stack, RecurrentStack)
    stack = make_stack("lstm", INPUT, hidden=HIDDEN, layers=1, options={"activation": "relu"})
    assert isinstance(stack, CellStack)


def test_states_of_other_widths() -> None:
    options = {"projection": "2"}
    assert state_widths("lstm", HIDDEN) == {"h": HIDDEN, "c": HIDDEN}
    assert state_widths("lstm_projected", HIDDEN) == {"h": HIDDEN, "c": HIDDEN}
    assert state_widths("lstm_projected", HIDDEN, options) == {"h": 2, "c": HIDDEN}
    stack = make_stack("lstm_projected", INPUT, hidden=HIDDEN, layers=2, options=options)
    first = zero_state("lstm_projected", layers=2, batch=BATCH, hidden=HIDDEN, options=options)
    y, after = stack(torch.randn(BATCH, 5, INPUT), first)
    assert y.shape == (BATCH, 5, 2)
    assert [t.shape for t in after] == [t.shape for t in first] == [(2, BATCH, 2), (2, BATCH, 4)]


def clipped(x: np.ndarray, slope: float) -> np.ndarray:
    return np.clip(slope * x + 0.5, 0, 1)


def activated(cell: str, x: np.ndarray, h: np.ndarray, state: list[np.ndarray]) -> list[np.ndarray]:
    """relu, and the gates' hard sigmoid of Keras 2; written again."""
    if cell == "rnn":
        return [np.maximum(x + h, 0)]
    if cell == "lstm":
        i, f, g, o = np.split(x + h, 4, axis=1)
        c = clipped(f, 0.2) * state[1] + clipped(i, 0.2) * np.maximum(g, 0)
        return [clipped(o, 0.2) * np.maximum(c, 0), c]
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(x, 3, axis=1), np.split(h, 3, axis=1)
    z = clipped(x_z + h_z, 0.2)
    n = np.maximum(x_n + clipped(x_r + h_r, 0.2) * h_n, 0)
    return [(1 - z) * n + z * state[0]]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_other_functions_of_a_cell_over_a_chained_run(cell: str) -> None:
    options = {"activation": "relu", "recurrent_activation": "hard_sigmoid_fifth"}
    options = {"activation": "relu"} if cell == "rnn" else options
    torch.manual_seed(3)
    stack = make_stack(cell, INPUT, hidden=HIDDEN, layers=1, options=options).double()
    for parameter in stack.requires_grad_(False).parameters():
        parameter.mul_(0.5).add_(0.1 * torch.randn_like(parameter))
    (made,) = stack.cells()
    assert isinstance(made, GatedCell)
    x = torch.randn(BATCH, STEPS, INPUT).double()
    names = state_widths(cell, HIDDEN, options)
    state = [np.full((BATCH, HIDDEN), 0.1) for _ in names]
    start = tuple(torch.from_numpy(tensor)[None] for tensor in state)
    y, _ = stack(x, start)
    w_ih, b_ih, w_hh, b_hh = (tensor.numpy() for tensor in made.parameters())
    for t in range(STEPS):
        state = activated(cell, x[:, t].numpy() @ w_ih.T + b_ih, state[0] @ w_hh.T + b_hh, state)
        np.testing.assert_allclose(y[:, t].numpy(), state[0], rtol=0, atol=1e-10)
    assert is_compact([made])
    for folded in (False, True):
        compact = CompactStack([made], folded=folded)
        given = input_table(made, x[:, :1]) if folded else x[:, :1]
        torch.testing.assert_close(compact(given, start), stack(x[:, :1], start))
