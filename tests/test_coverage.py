"""The table of what each format carries: what ships is what the script finds."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgernn.formats.coverage import COLUMNS, coverage, markdown, plain

pytest.importorskip("torch")
BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"


def script_of(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Load the script by its place: a package of its name may be installed."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return SimpleNamespace(**runpy.run_path(str(BENCHMARKS / "coverage.py")))


@pytest.mark.parametrize(
    ("feature", "column"), [("gru", "onnx float32"), ("int64 state", "coreml-mlstate float16")]
)
def test_a_cell_is_what_the_script_finds(
    feature: str, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("coremltools")
    script = script_of(monkeypatch)
    assert script.cell(script.NETWORKS[feature], column) == coverage()[feature][column]


def test_every_feature_of_the_script_is_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    script = script_of(monkeypatch)
    assert list(coverage()) == list(script.NETWORKS)


def test_the_page_has_the_table() -> None:
    assert markdown(coverage()) in (BENCHMARKS / "COVERAGE.md").read_text(encoding="utf-8")


def test_every_cell_says_something() -> None:
    assert all(cells.keys() == set(COLUMNS) for cells in coverage().values())
    assert not [c for cells in coverage().values() for c in cells.values() if "fails" in c]
    first, *lines = plain(coverage()).splitlines()
    assert first.split("  ")[-1] == COLUMNS[-1] and len(lines) == len(coverage())
