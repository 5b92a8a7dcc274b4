"""The gated mean over time, one step after another and by a tree, against a loop in numpy: values
and gradients, with gates that are open and shut.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from edgernn.models.scan import (
    backwards,
    backwards_by_halves,
    forwards,
    forwards_by_halves,
    gated_scan,
)

BATCH, HIDDEN = 2, 3


def drawn(steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    gate = random.uniform(0, 1, (steps, BATCH, HIDDEN))
    gate[random.uniform(size=gate.shape) < 0.2] = 0
    gate[random.uniform(size=gate.shape) < 0.2] = 1
    return gate, random.normal(size=gate.shape), random.normal(size=(BATCH, HIDDEN))


def recurrence(gate: np.ndarray, new: np.ndarray, h: np.ndarray) -> np.ndarray:
    made = []
    for z, n in zip(gate, new, strict=True):
        h = (1 - z) * h + z * n
        made.append(h)
    return np.stack(made)


def tensors(*arrays: np.ndarray) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, arrays))


@settings(max_examples=40, deadline=None)
@given(steps=st.integers(1, 70), seed=st.integers(0, 1000))
def test_both_ways_are_the_recurrence_and_have_one_gradient(steps: int, seed: int) -> None:
    gate, new, first = drawn(steps, seed)
    wanted = recurrence(gate, new, first)
    inputs = tensors(gate, new, first)
    (given_,) = tensors(np.random.default_rng(seed).normal(size=gate.shape))
    for run in (gated_scan, forwards, forwards_by_halves):
        np.testing.assert_allclose(run(*inputs).numpy(), wanted, rtol=0, atol=1e-12)
    made = torch.from_numpy(wanted)
    found, other = (run(*inputs, made, given_) for run in (backwards, backwards_by_halves))
    torch.testing.assert_close(found, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_its_gradient_is_that_of_finite_differences(steps: int) -> None:
    inputs = tuple(tensor.requires_grad_() for tensor in tensors(*drawn(steps)))
    assert torch.autograd.gradcheck(gated_scan, inputs)
    assert torch.autograd.gradgradcheck(gated_scan, inputs)


def test_thousands_of_steps_lose_no_more_than_a_few_steps_round() -> None:
    random = np.random.default_rng(3)
    gate = random.uniform(0, 0.01, (4096, 1, 8)).astype("f4")
    new, first = random.normal(size=gate.shape).astype("f4"), np.full((1, 8), 3, "f4")
    wanted = recurrence(*(array.astype("f8") for array in (gate, new, first)))
    for run in (forwards, forwards_by_halves):
        found = run(*tensors(gate, new, first)).numpy()
        np.testing.assert_allclose(found, wanted, rtol=0, atol=5e-6)
