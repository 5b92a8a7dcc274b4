"""What the terminal shows of a run: a live bar, or off a terminal a plain line every few seconds;
and each evaluation.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from edgernn.training.progress import EvaluationReport, StepReport

_LINE_EVERY_SECONDS = 5.0


class Terminal:
    """Prints to a console; once that has gone, as a closed terminal has, it is silent and the run
    goes on.

    Args:
        console: where to print.
        clock: seconds of a clock on the wall.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.description}", markup=False),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task("starting", total=1.0)
        self._gone = False
        self._told = clock()

    def on_step(self, report: StepReport) -> None:
        """Move the bar, or now and then print a line."""
        text = (
            f"train {report.train_loss:.3f} nats/{report.unit} · {report.tokens_per_second:,.0f} "
            f"{report.unit}s/s"
        )
        if report.done > 0:
            text += f" · {report.seconds / report.done * (1 - report.done):.0f} s left"
        if self._console.is_terminal:
            self._try(self._progress.start)
            self._try(
                lambda: self._progress.update(self._task, completed=report.done, description=text)
            )
        elif self._clock() - self._told >= _LINE_EVERY_SECONDS:
            self._told = self._clock()
            self._print(f"step {report.step:>6} · {100 * report.done:.0f} % · {text}")

    def on_progress(self, report: StepReport) -> None:
        """As for a step that is kept."""
        self.on_step(report)

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Print the losses and the sample."""
        self._told = self._clock()
        self._print(
            f"step {report.step:>6} · {report.seconds:5.0f} s · epoch {report.epoch:.2f} · "
            f"train {report.train_loss:.4f} · "
            f"validation {report.validation_loss:.4f} nats/{report.unit} "
            f"({report.split}){' best' if report.best else ''}"
        )
        if report.measured:
            self._print(
                "       "
                + " · ".join(f"{name} {figure:.4f}" for name, figure in report.measured.items())
            )
        if report.sample:
            self._print("       " + " ".join(report.sample.split())[:100], style="dim")

    def on_note(self, line: str) -> None:
        """Print it."""
        self._print(line)

    def close(self) -> None:
        """Take the bar away."""
        if self._progress.live.is_started:  # which elsewhere would print an empty line
            self._try(self._progress.stop)

    def _print(self, line: str, *, style: str | None = None) -> None:
        self._try(
            lambda: self._console.print(
                line, style=style, markup=False, emoji=False, highlight=False
            )
        )

    def _try(self, show: Callable[[], None]) -> None:
        if self._gone:
            return
        try:
            show()
        except (OSError, ValueError):  # closed: by whoever was reading, or with the terminal
            self._gone = True
