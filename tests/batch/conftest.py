"""Tiny bundles of what bulk work is for, and a table that they read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from family_networks import export_tiny

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

import pyarrow as arrow
from pyarrow import parquet

TEXTS = [f"{'abcdefg '[n % 8]}{'bead face '[n % 10 :]}{n % 3 * 'ab'}" for n in range(57)]
WRONG = {5: "", 20: "\u2603", 41: None}  # rows that no classifier of characters can read


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a classifier of the characters of ``TEXTS``."""
    pytest.importorskip("torch")
    return export_tiny("classifier", tmp_path_factory.mktemp("batch") / "b", to=["onnx"], steps=8)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parquet files, the first of two row groups, with an id and bytes beside each text."""
    folder = tmp_path_factory.mktemp("table")
    texts: list[Any] = [WRONG.get(row, text) for row, text in enumerate(TEXTS)]
    for name, start, end in (("a", 0, 30), ("b", 30, 57)):
        columns = {
            "id": arrow.array(range(start, end), arrow.int32()),
            "text": arrow.array(texts[start:end], arrow.string()),
            "label": arrow.array(["x"] * (end - start)),
            "scan": arrow.array([b"\0"] * (end - start), arrow.binary()),
        }
        parquet.write_table(arrow.table(columns), folder / f"{name}.parquet", row_group_size=20)
    return folder


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], list[dict[str, Any]]]:
    """What reads an output's rows, in the order of its files."""

    def read(folder: Path) -> list[dict[str, Any]]:
        files = sorted(folder.glob("part-*.parquet"))
        return [row for file in files for row in parquet.read_table(file).to_pylist()]

    return read
