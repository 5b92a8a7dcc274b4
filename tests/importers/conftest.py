"""Draws that no other test moves, tables of importers of the toy family alone, and a file of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import toy_family

from edgernn.importers import table


@pytest.fixture(autouse=True)
def seeded() -> None:
    """What torch draws is the same in any order of the tests."""
    torch.manual_seed(0)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy family alone."""
    monkeypatch.setattr(table, "IMPORTERS", toy_family.rows(toy_family.Toy, toy_family.Unsure))


@pytest.fixture
def twins(toy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two families that are equally sure."""
    kinds = (toy_family.Toy, toy_family.Twin, toy_family.Unsure)
    monkeypatch.setattr(table, "IMPORTERS", toy_family.rows(*kinds))


@pytest.fixture
def toy_file(tmp_path: Path) -> Path:
    """A toy checkpoint."""
    return toy_family.save(tmp_path / "toy.pt", toy_family.toy_tensors())
