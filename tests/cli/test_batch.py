"""``edgernn batch``: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

from pyarrow import parquet

from edgernn.cli.app import app


def test_it_writes_a_row_for_each_row_and_says_so(bundle_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("the\nquick\n\u2603\n", "utf-8")
    command = ["batch", str(bundle_folder), "--input", str(tmp_path / "prompts.txt")]
    command += ["--output", str(tmp_path / "out"), "--length", "5", "--workers", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"3 rows in 1 file of {tmp_path / 'out'}: 2 answered, 1 refused")
    again = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(again.stdout)["found"] == 1
    rows = parquet.read_table(tmp_path / "out/part-00000.parquet").to_pylist()
    assert [row["text"] for row in rows] == ["the", "quick", "\u2603"]
    assert [row["tokens"] for row in rows] == [5, 5, None]
    assert [row["error"] is None for row in rows] == [True, True, False]


def test_an_unknown_engine_is_refused(bundle_folder: Path, tmp_path: Path) -> None:
    command = ["batch", str(bundle_folder), "--input", "x", "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--engine", "spark"])
    assert str(done.exception) == "--engine is 'spark', expected local or ray"
    assert not (tmp_path / "out").exists()
