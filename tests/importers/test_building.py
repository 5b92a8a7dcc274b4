"""From arrays to a model: taken where they lie, or converted; in any case the same values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgernn.importers.base import Imported
from edgernn.importers.building import built
from edgernn.models.language import LanguageConfig, LanguageModel
from edgernn.models.weights import named_tensors

CONFIG = LanguageConfig(vocabulary=9, cell="gru", embedding=4, hidden=6, layers=2)
HELD = Path("toy.pt")


def arrays() -> dict[str, np.ndarray]:
    """Return drawn weights, read-only as a container gives them."""
    random, made = np.random.default_rng(0), {}
    for name, tensor in named_tensors(LanguageModel(CONFIG)).items():
        made[name] = random.standard_normal(tuple(tensor.shape)).astype(np.float32)
        made[name].flags.writeable = False
    return made


def by_column(array: np.ndarray) -> np.ndarray:
    return np.asfortranarray(array)


def backwards(array: np.ndarray) -> np.ndarray:
    return array[::-1].copy()[::-1]


def unaligned(array: np.ndarray) -> np.ndarray:
    raw = b"\0" + array.tobytes()
    return np.frombuffer(raw, np.uint8)[1:].view(np.float32).reshape(array.shape)


def double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def big_endian(array: np.ndarray) -> np.ndarray:
    return array.astype(">f4")


def test_arrays_in_torchs_layout_are_taken_where_they_are() -> None:
    given = arrays()
    model = built(Imported(CONFIG, given), HELD)
    assert not model.training
    for name, tensor in named_tensors(model).items():
        assert np.shares_memory(tensor.detach().numpy(), given[name]), name
    with torch.no_grad():
        model(torch.zeros(2, 3, dtype=torch.int64), model.initial_state(2))


@pytest.mark.parametrize("lay", [by_column, backwards, unaligned, double, big_endian])
def test_other_arrays_are_converted(lay: Callable[[np.ndarray], np.ndarray]) -> None:
    given = {name: lay(array) for name, array in arrays().items()}
    before = {name: array.copy() for name, array in given.items()}
    for name, tensor in named_tensors(built(Imported(CONFIG, given), HELD)).items():
        assert tensor.is_contiguous()
        assert tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.detach().numpy(), arrays()[name])
        np.testing.assert_array_equal(given[name], before[name])
