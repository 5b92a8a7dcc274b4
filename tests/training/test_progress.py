"""Metrics on disk, the loss curve, and the terminal."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from edgernn.training.metrics import CURVE, METRICS, MetricsFile, read_metrics
from edgernn.training.progress import EvaluationReport, Several, StepReport
from edgernn.training.terminal import Terminal

STEP = StepReport(10, 0.1, 2.5, 1e-3, 5000.0, 1.0, 0.25)
EVALUATION = EvaluationReport(
    20, 0.2, 2.4, 2.6, "last 10 % of a.txt", True, 2.0, "[red]a sample\nof text"
)
MEASURED = replace(EVALUATION, measured={"cider_d": 0.51234, "bleu_4": 0.1})


def test_metrics_are_appended_and_drawn(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path, from_step=0)
    Several(metrics).on_step(STEP)
    Several(metrics).on_evaluation(EVALUATION)
    rows = read_metrics(tmp_path / METRICS)
    assert [(row["kind"], row["step"]) for row in rows] == [("train", 10), ("validation", 20)]
    assert (tmp_path / CURVE).read_bytes().startswith(b"\x89PNG")


def test_a_resumed_run_drops_what_it_will_write_again(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path, from_step=0)
    metrics.on_step(STEP)
    metrics.on_evaluation(EVALUATION)
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"kind": "train", "st')
    MetricsFile(tmp_path, from_step=15)
    assert [row["step"] for row in read_metrics(tmp_path / METRICS)] == [10]


def test_the_terminal_names_the_split_and_shows_a_sample_as_it_is() -> None:
    console = Console(file=io.StringIO(), width=200)
    terminal = Terminal(console)
    terminal.on_step(STEP)
    terminal.on_evaluation(EVALUATION)
    terminal.close()
    shown = console.file.getvalue()
    assert "validation 2.6000 nats/token (last 10 % of a.txt) best" in shown
    assert "[red]a sample of text" in shown


def test_the_bar_tells_loss_speed_and_time_left() -> None:
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    terminal = Terminal(console)
    terminal.on_step(STEP)
    terminal.close()
    assert "train 2.500 nats/token · 5,000 tokens/s · 3 s left" in console.file.getvalue()


def test_further_figures_are_shown_and_kept_by_name(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=200)
    Several(Terminal(console), MetricsFile(tmp_path, from_step=0)).on_evaluation(MEASURED)
    assert "cider_d 0.5123 · bleu_4 0.1000" in console.file.getvalue()
    assert [row["measured"] for row in read_metrics(tmp_path / METRICS)] == [
        {"cider_d": 0.51234, "bleu_4": 0.1}
    ]
    plain = Console(file=io.StringIO(), width=200)
    Terminal(plain).on_evaluation(EVALUATION)
    assert len(plain.file.getvalue().splitlines()) == 2  # the losses and the sample alone
