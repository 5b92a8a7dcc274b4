"""What a run tells while it goes: a live line on the terminal, ``metrics.jsonl``, and the loss curve as a picture."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from edgernn import plots, storage

METRICS, CURVE = "metrics.jsonl", "loss.png"


@dataclass(frozen=True)
class StepReport:
    """One look at the training loss: a mean over the last few steps, in nats per token."""

    step: int
    epoch: float
    train_loss: float
    learning_rate: float
    tokens_per_second: float
    seconds: float
    done: float  # share of the budget, 0 to 1


@dataclass(frozen=True)
class EvaluationReport:
    """One measurement on the validation part, in nats per token; ``best`` if none before was better.

    ``measured`` are further figures by name.
    """

    step: int
    epoch: float
    train_loss: float
    validation_loss: float
    split: str
    best: bool
    seconds: float
    sample: str
    measured: dict[str, float] = field(default_factory=dict)


class Reporter(Protocol):
    """Whoever wants to hear of a run."""

    def on_step(self, report: StepReport) -> None:
        """Hear of the training loss."""

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Hear of the validation loss."""

    def close(self) -> None:
        """Hear that the run ended."""


class Silent:
    """Hears nothing: for tests and for the processes that do not lead."""

    def on_step(self, report: StepReport) -> None:
        """Ignore it."""

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Ignore it."""


class MetricsFile:
    """Appends every report to ``metrics.jsonl`` and redraws the loss curve at each evaluation.

    Args:
        folder: the run's.
        from_step: drop the lines after this step, which a killed run wrote and the resumed one writes again.
    """

    def __init__(self, folder: Path, *, from_step: int) -> None:
        self._path, self._curve = folder / METRICS, folder / CURVE
        kept = [row for row in read_metrics(self._path) if row["step"] <= from_step] if from_step else []
        storage.write_text(self._path, "".join(json.dumps(row) + "\n" for row in kept))

    def on_step(self, report: StepReport) -> None:
        """Append the line."""
        self._append({"kind": "train", **asdict(report)})

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Append the line and redraw."""
        self._append({"kind": "validation", **asdict(report)})
        plots.loss_curve(read_metrics(self._path), self._curve)

    def close(self) -> None:
        """Nothing is open."""

    def _append(self, row: dict[str, Any]) -> None:
        with storage.appending(self._path) as file:
            file.write(json.dumps(row) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``; a last line that a kill cut short is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


class Terminal:
    """A live bar with loss, tokens/s and time left, and at each evaluation a line and a sample of text."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}% {task.description}", markup=False), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("starting", total=1.0)

    def on_step(self, report: StepReport) -> None:
        """Move the bar."""
        if self._console.is_terminal:
            self._progress.start()
        left = report.seconds / report.done * (1 - report.done) if report.done > 0 else 0.0
        text = f"train {report.train_loss:.3f} nats/token · {report.tokens_per_second:,.0f} tokens/s · {left:.0f} s left"
        self._progress.update(self._task, completed=report.done, description=text)

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Print the losses and the sample."""
        mark = " best" if report.best else ""
        self._print(
            f"step {report.step:>6} · {report.seconds:5.0f} s · epoch {report.epoch:.2f} · train {report.train_loss:.4f} · "
            f"validation {report.validation_loss:.4f} nats/token ({report.split}){mark}"
        )
        if report.measured:
            figures = " · ".join(f"{name} {figure:.4f}" for name, figure in report.measured.items())
            self._print(f"       {figures}")
        if report.sample:
            shown = " ".join(report.sample.split())[:100]
            self._print(f"       {shown}", style="dim")

    def _print(self, line: str, *, style: str = "") -> None:
        self._console.print(line, style=style, markup=False, emoji=False, highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()


class Several:
    """Passes every report on to several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def on_step(self, report: StepReport) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.on_step(report)

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.on_evaluation(report)

    def close(self) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.close()
