"""How far gradients reach, and the term that keeps them alive, against the equations in numpy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.training.gradients import gradient_norms, unrolled, vanishing
from edgernn.training.gradients_file import GRADIENTS, PLOT, read_gradients
from edgernn.training.options import TrainOptions
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget

STEPS, HIDDEN = 5, 4
TOKENS = torch.tensor([[0, 2, 1, 1, 0, 2], [1, 0, 0, 2, 2, 1]])  # [B, T + 1]


def network(cell: str = "rnn") -> LanguageModel:
    torch.manual_seed(1)
    config = LanguageConfig(vocabulary=3, cell=cell, embedding=3, hidden=HIDDEN, layers=1)
    model = LanguageModel(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def read(model: LanguageModel) -> tuple:
    state = tuple(tensor.double() for tensor in model.initial_state(len(TOKENS)))
    return unrolled(model, TOKENS[:, :-1], state)


def by_hand(model: LanguageModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A vanilla network in numpy: probabilities ``[B, T, V]``, tanh' ``[B, T, H]``, weights."""
    (cell,) = model.recurrent.cells()
    numbers = [
        tensor.detach().numpy()
        for tensor in (
            model.embedding.weight,
            cell.from_input.weight,
            cell.from_hidden.weight,
            cell.from_input.bias,
            cell.from_hidden.bias,
            model.head.weight,
            model.head.bias,
        )
    ]
    embedding, w, u, b, c, v, d = numbers
    h, slopes, shares = np.zeros((len(TOKENS), HIDDEN)), [], []
    for t in range(STEPS):
        h = np.tanh(embedding[TOKENS[:, t].numpy()] @ w.T + b + h @ u.T + c)
        logits = h @ v.T + d
        shares.append(np.exp(logits) / np.exp(logits).sum(1, keepdims=True))
        slopes.append(1 - h**2)
    return np.stack(shares, 1), np.stack(slopes, 1), u


def test_norms_are_the_products_of_jacobians() -> None:
    model = network()
    logits, states = read(model)
    loss = torch.nn.functional.cross_entropy(logits[:, -1], TOKENS[:, -1], reduction="sum")
    (norms,) = gradient_norms(loss, states[1:-1], [1])
    shares, slopes, u = by_hand(model)
    g = shares[:, -1] - np.eye(3)[TOKENS[:, -1].numpy()]
    g = g @ model.head.weight.detach().numpy()  # to the last h, [B, H]
    expected = []
    for t in range(STEPS - 1, 0, -1):
        g = (g * slopes[:, t]) @ u
        expected.append(np.linalg.norm(g, axis=1).mean())
    np.testing.assert_allclose(norms[:, 0].numpy(), expected, rtol=1e-6)


def test_the_term_is_that_of_the_paper_and_its_gradient_the_immediate_one() -> None:
    model = network()
    logits, states = read(model)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())
    omega = vanishing(model, loss, TOKENS[:, :-1], states, [1])
    shares, slopes, u = by_hand(model)
    v = model.head.weight.detach().numpy()
    targets = np.eye(3)[TOKENS[:, 1:].numpy()]
    g, ratios = np.zeros((len(TOKENS), HIDDEN)), []
    for t in range(STEPS - 1, -1, -1):  # g: to h after step t, of the losses after it
        back = (g * slopes[:, t]) @ u
        if g.any():
            ratios.append(np.linalg.norm(back, axis=1) / np.linalg.norm(g, axis=1))
        own = (shares[:, t] - targets[:, t]) @ v / targets[..., 0].size
        g = ((own + g) * slopes[:, t]) @ u
    assert omega.item() == pytest.approx(np.square(np.stack(ratios) - 1).mean(), rel=1e-6)
    model.zero_grad()
    omega.backward()
    (cell,) = model.recurrent.cells()
    assert cell.from_hidden.weight.grad.abs().sum() > 0
    assert model.head.weight.grad is None  # it is in g alone, which is a constant


@pytest.mark.parametrize("cell", ["lstm", "gru", "lstm_peephole"])
def test_the_term_falls_where_it_is_minimised(cell: str) -> None:
    model = network(cell)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    course = []
    for _ in range(30):
        logits, states = read(model)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), TOKENS[:, 1:].flatten())
        axes = [1] * len(states[0])
        omega = vanishing(model, loss, TOKENS[:, :-1], states, axes)
        optimizer.zero_grad()
        omega.backward()
        optimizer.step()
        course.append(omega.item())
    assert course[-1] < 0.7 * course[0]


def test_a_run_leaves_its_gradients(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the quick brown fox\n" * 200)
    options = TrainOptions(
        budget=Budget(unit="steps", amount=4),
        batch=4,
        chunk=8,
        evaluations=2,
        threads=1,
        gradients=True,
        vanishing_penalty=0.5,
    )
    setup = TextSetup(model={"hidden": 6, "layers": 2})
    run = train_text(str(tmp_path / "text.txt"), tmp_path / "run", options=options, setup=setup)
    rows = read_gradients(run.folder / GRADIENTS)
    assert [row["step"] for row in rows] == [2, 4]
    for row in rows:
        assert list(row["norms"]) == ["h", "c"]
        for values in row["norms"].values():
            assert np.shape(values) == (64, 2)
            assert np.isfinite(values).all()
            assert np.min(values) >= 0 < np.max(values)
    assert (run.folder / PLOT).read_bytes().startswith(b"\x89PNG")
    assert json.loads((run.folder / GRADIENTS).read_text())["means"]
