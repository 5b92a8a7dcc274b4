"""The metrics file: what is damaged in it is left out, and what cannot be written never stops a
run.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgernn.training.metrics import CURVE, METRICS, MetricsFile, read_metrics
from edgernn.training.progress import EvaluationReport, StepReport

STEP = StepReport(10, 0.1, 2.5, 1e-3, 5000.0, 1.0, 0.25)
EVALUATION = EvaluationReport(20, 0.2, 2.4, 2.6, "last 10 % of a.txt", True, 2.0, "a sample")
BAD = [
    b"\xff\xfe",
    b"null",
    b"123",
    b'"text"',
    b"[1, 2]",
    b'{"kind": "train", "st',
    b"{}",
    b'{"kind": "train", "step": "10", "train_loss": 1.0}',
    b'{"kind": "train", "step": true, "train_loss": 1.0}',
    b'{"kind": "train", "step": 10}',
    b'{"kind": "train", "step": 10, "train_loss": NaN}',
    b'{"kind": ["train"], "step": 10, "train_loss": 1.0}',
    b'{"kind": "validation", "step": 10, "train_loss": 1.0, "validation_loss": null, "split": "s"}',
    b'{"kind": "validation", "step": 10, "train_loss": 1.0, "validation_loss": 1.0}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("line", BAD, ids=lambda line: line[:30].decode("latin1"))
def test_a_bad_line_is_left_out_and_the_good_ones_around_it_are_kept(
    line: bytes, tmp_path: Path
) -> None:
    metrics = MetricsFile(tmp_path, from_step=0)
    metrics.on_step(STEP)
    with (tmp_path / METRICS).open("ab") as file:
        file.write(line + b"\n")
    metrics.on_evaluation(EVALUATION)
    assert [row["step"] for row in read_metrics(tmp_path / METRICS)] == [10, 20]
    MetricsFile(tmp_path, from_step=15)
    assert [json.loads(row)["step"] for row in (tmp_path / METRICS).read_text().splitlines()] == [
        10
    ]


@pytest.mark.parametrize("name", [METRICS, CURVE])
def test_a_file_that_cannot_be_written_is_told_once_and_the_run_goes_on(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "inner").write_text("x")
    told: list[str] = []
    metrics = MetricsFile(tmp_path, from_step=0, tell=told.append)
    for _ in range(2):
        metrics.on_step(STEP)
        metrics.on_evaluation(EVALUATION)
    assert len(told) == 1
    assert f"training goes on without {name}" in told[0]
    assert (tmp_path / name / "inner").read_text() == "x"


def test_no_file_and_no_readable_one_are_no_metrics(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "absent") == []
    assert read_metrics(tmp_path) == []
