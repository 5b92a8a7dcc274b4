"""Gradients through the steps of a network of layers, against products of Jacobians in numpy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from edgernn.errors import UsageError
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.training.labels import LabelObjective
from edgernn.training.objective import Objective
from edgernn.training.unrolling import Unrolled

HIDDEN, LENGTHS = 4, (5, 3, 5)
BATCH = {
    "tokens": torch.tensor([[0, 2, 1, 1, 0], [1, 0, 0, 0, 0], [2, 2, 1, 0, 1]]),
    "lengths": torch.tensor(LENGTHS),
    "target": torch.tensor([1, 0, 1]),
}
OBJECTIVE = LabelObjective(2, unit="sequence")


def network() -> Network:
    layers = [
        {"name": "embedding", "kind": "embedding", "inputs": ["tokens"], "options": {"width": 3}},
        {
            "name": "rnn",
            "kind": "recurrent",
            "inputs": ["embedding"],
            "options": {"cell": "rnn", "hidden": HIDDEN},
        },
        {"name": "head", "kind": "linear", "inputs": ["rnn"], "options": {"width": "classes"}},
    ]
    port = {"name": "tokens", "dtype": "int64", "axes": ["batch", "time"], "below": "ids"}
    description = {
        "family": "classifier",
        "inputs": [port],
        "sizes": {"ids": 3, "classes": 2},
        "layers": layers,
        "outputs": {"logits": "head"},
    }
    torch.manual_seed(1)
    made = Network(NetworkConfig.model_validate(description)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return made


def courses(made: Network) -> list[list[np.ndarray]]:
    """Of each sequence the gradient of its last loss to h, to the one after its last step but one
    first, in numpy.
    """
    (cell,) = made.layers["rnn"].stack.cells()
    w, u, b, c = (
        tensor.detach().double().numpy()
        for tensor in (
            cell.from_input.weight,
            cell.from_hidden.weight,
            cell.from_input.bias,
            cell.from_hidden.bias,
        )
    )
    table = made.layers["embedding"].weight.detach().double().numpy()
    head = made.layers["head"]
    v, d = (tensor.detach().double().numpy() for tensor in (head.weight, head.bias))
    found = []
    for row, length in enumerate(LENGTHS):
        h, slopes = np.zeros(HIDDEN), []
        for t in range(length):
            h = np.tanh(w @ table[BATCH["tokens"][row, t]] + b + u @ h + c)
            slopes.append(1 - h**2)
        scores = np.exp(v @ h + d)
        g = (scores / scores.sum() - np.eye(2)[BATCH["target"][row]]) @ v
        course = []
        for slope in reversed(slopes[1:]):
            g = (g * slope) @ u
            course.append(g)
        found.append(course)
    return found


def test_norms_count_back_from_the_last_step_of_each_sequence() -> None:
    made = network()
    steps = Unrolled(made)
    losses, places = OBJECTIVE.last_losses(steps.network(), BATCH)
    assert places.tolist() == [length - 1 for length in LENGTHS]
    norms = steps.norms(losses, places)
    expected = [
        np.mean([np.linalg.norm(course[k]) for course in courses(made) if len(course) > k])
        for k in range(4)
    ]
    np.testing.assert_allclose(norms["h"][:, 0], expected, rtol=1e-4)


def test_a_call_taken_apart_gives_what_the_call_gives() -> None:
    made = network()
    whole, parted = (OBJECTIVE(model, BATCH, 0.0) for model in (made, Unrolled(made).network()))
    torch.testing.assert_close(parted, whole)


def test_the_term_is_that_of_the_paper() -> None:
    made = network()
    steps = Unrolled(made)
    objective, _ = OBJECTIVE(steps.network(), BATCH, 0.0)
    omega = steps.vanishing(objective)
    (cell,) = made.layers["rnn"].stack.cells()
    ratios = [
        np.linalg.norm(after) / np.linalg.norm(before)
        for course in courses(made)
        for before, after in pairwise(course)
    ]
    first = [course[-1] for course in courses(made)]  # to h after the first step
    assert len(ratios) == sum(LENGTHS) - 2 * len(LENGTHS)
    slopes = _first_slopes(made)
    u = cell.from_hidden.weight.detach().double().numpy()
    ratios += [
        np.linalg.norm((g * slope) @ u) / np.linalg.norm(g)
        for g, slope in zip(first, slopes, strict=True)
    ]
    assert omega.item() == pytest.approx(np.square(np.array(ratios) - 1).mean(), rel=1e-4)
    omega.backward()
    assert cell.from_hidden.weight.grad.abs().sum() > 0
    assert made.layers["head"].weight.grad is None  # it is in the gradients, which are constants


def _first_slopes(made: Network) -> list[np.ndarray]:
    """tanh' of the first step of each sequence."""
    state = made.initial_state(len(LENGTHS))
    found = made.graph("step", BATCH["tokens"][:, :1], *state)
    return list(1 - found[-1][0].detach().double().numpy() ** 2)


def test_what_has_no_loss_of_a_step_is_told() -> None:
    with pytest.raises(UsageError, match="leave --gradients out"):
        Objective().last_losses(network(), BATCH)


def test_a_sequence_of_one_step_has_no_earlier_one() -> None:
    steps = Unrolled(network())
    short = {**BATCH, "lengths": torch.ones(3, dtype=torch.int64)}
    short["tokens"] = short["tokens"][:, :1]
    assert steps.norms(*OBJECTIVE.last_losses(steps.network(), short)) == {}
