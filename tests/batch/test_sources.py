"""What a run reads: files that make one table, and none that a run wrote."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

import pyarrow as arrow
from pyarrow import parquet

from edgernn.batch.run import run_plan
from edgernn.errors import DataError, UsageError

from .runs import here, planned

Rows = Callable[[Path], list[dict[str, Any]]]


def test_columns_that_make_no_table_are_told(classifier: Path, tmp_path: Path) -> None:
    for name, ids in (("a", [1]), ("b", ["1"])):
        parquet.write_table(arrow.table({"text": ["ab"], "n": ids}), tmp_path / f"{name}.parquet")
    with pytest.raises(DataError, match=r"^the column 'n' holds string in \S+b.parquet and int64 "):
        planned(classifier, tmp_path)
    assert planned(classifier, tmp_path, keep=["text"]).rows == 2
    with pytest.raises(UsageError, match=r"^the column 'n' of \S+a.parquet holds int64, expected"):
        planned(classifier, tmp_path / "a.parquet", column="n")


def test_an_output_below_the_input_is_no_input(
    classifier: Path, rows_of: Rows, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("text,label,input_label\nab,1,2\nba,3,4\n")
    out = tmp_path / "out"
    plan = planned(classifier, tmp_path)
    for found in (0, 1):
        made = run_plan(planned(classifier, tmp_path), classifier, str(out), engine=here, workers=1)
        assert (made.rows, made.found) == (2, found)
    assert planned(classifier, tmp_path) == plan
    kept = [(row["input_input_label"], row["input_label"]) for row in rows_of(out)]
    assert kept == [("1", "2"), ("3", "4")]


def test_the_longest_field_of_other_readers_stays_theirs(classifier: Path, tmp_path: Path) -> None:
    csv.field_size_limit(before := 1 << 17)  # Python's own
    (tmp_path / "long.csv").write_text(f"text,note\nab,{'x' * (before + 1)}\n")
    assert planned(classifier, tmp_path).rows == 1
    assert csv.field_size_limit() == before
