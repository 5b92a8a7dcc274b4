"""``benchmarks/families.py``: its rows are there, and what is not reached is told."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


@pytest.fixture
def families(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("families")


def test_every_row_names_a_function_that_is_there(families: ModuleType) -> None:
    for row in families.ROWS.values():
        module, _, name = row.measure.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_what_is_not_reached_is_told(
    families: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figure = families.Figure

    def figures(folder: Path, minutes: float) -> list[object]:
        return [figure("a", 0.9, least=0.95), figure("b", 0.8, most=0.85), figure("c", 0.1)]

    module = ModuleType("made_up")
    module.figures = figures  # type: ignore[attr-defined]
    monkeypatch.setitem(families.sys.modules, "made_up", module)
    monkeypatch.setitem(families.ROWS, "made", families.Row("made", 1, "made_up:figures"))
    lines = families.measured("made", tmp_path)
    assert [line[3:] for line in lines] == [
        ["a", "≥ 95%", "90.0% (not reached)"],
        ["b", "≤ 85%", "80.0%"],
        ["c", "reported", "10.0%"],
    ]
