"""What a run tells while it goes, and who hears it: the terminal (terminal.py), the metrics file
(metrics.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


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
    threads: int = 0  # of the CPU; 0 where the run did not choose
    unit: str = "token"  # what a token is


@dataclass(frozen=True)
class EvaluationReport:
    """One measurement on the validation part, in nats per token; ``best`` if none before was
    better.

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
    unit: str = "token"  # what a token is


class Reporter(Protocol):
    """Whoever wants to hear of a run."""

    def on_step(self, report: StepReport) -> None:
        """Hear of the training loss."""

    def on_progress(self, report: StepReport) -> None:
        """Hear of the training loss in between, where steps take long; nothing is kept of it."""

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Hear of the validation loss."""

    def on_note(self, line: str) -> None:
        """Hear a line of text."""

    def close(self) -> None:
        """Hear that the run ended."""


class Silent:
    """Hears nothing: for tests and for the processes that do not lead."""

    def on_step(self, report: StepReport) -> None:
        """Ignore it."""

    def on_progress(self, report: StepReport) -> None:
        """Ignore it."""

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Ignore it."""

    def on_note(self, line: str) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Ignore it."""


class Several:
    """Passes every report on to several reporters."""

    def __init__(self, *reporters: Reporter) -> None:
        self._reporters = reporters

    def on_step(self, report: StepReport) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.on_step(report)

    def on_progress(self, report: StepReport) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.on_progress(report)

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.on_evaluation(report)

    def on_note(self, line: str) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.on_note(line)

    def close(self) -> None:
        """Pass it on."""
        for reporter in self._reporters:
            reporter.close()
