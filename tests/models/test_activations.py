"""Activations: each is its documented formula."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from edgernn.models.activations import ACTIVATIONS

ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # of selu, Klambauer et al. 2017
FORMULAS: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: min(max(x / 6 + 0.5, 0.0), 1.0),
    "hard_sigmoid_fifth": lambda x: min(max(0.2 * x + 0.5, 0.0), 1.0),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: SCALE * (x if x > 0 else ALPHA * (math.exp(x) - 1)),
    "gelu": lambda x: x / 2 * (1 + math.erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_is_its_formula(name: str) -> None:
    numbers = np.linspace(-4, 4, 81)
    found = ACTIVATIONS[name](torch.from_numpy(numbers)).numpy()
    wanted = [FORMULAS[name](x) for x in numbers]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)
