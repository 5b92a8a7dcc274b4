"""What the loop tells of a run while it goes, and how often: its losses every few steps and, where
steps take long, in between; its measurements.
"""

from __future__ import annotations

from torch.optim import Optimizer

from edgernn.training.losses import Losses
from edgernn.training.progress import EvaluationReport, Reporter, StepReport
from edgernn.training.resume import Progress
from edgernn.training.task import Evaluation, Task

_REPORT_EVERY = 10  # steps; also how often the loss is looked at for NaN
_TELL_EVERY_SECONDS = 2.0


class Telling:
    """Makes the reports of a run.

    Args:
        task: what is trained.
        optimizer: whose learning rate is told.
        losses: what the steps lost.
        reporter: who hears.
    """

    def __init__(
        self, task: Task, optimizer: Optimizer, losses: Losses, reporter: Reporter
    ) -> None:
        self._task, self._optimizer = task, optimizer
        self._losses, self._reporter = losses, reporter
        self._tokens = 0  # trained on since the last report that was kept
        self._kept = self._told = 0.0  # when it was made, and when any was, in seconds of the run

    def begin(self, seconds: float) -> None:
        """Start from a run of so many seconds."""
        self._kept = self._told = seconds

    def trained_on(self, tokens: int) -> None:
        """Count the tokens of a step."""
        self._tokens += tokens

    def note(self, line: str) -> None:
        """Tell a line of text."""
        self._reporter.on_note(line)

    def step_made(self, progress: Progress, *, share: float) -> None:
        """Tell of the losses, where it is time to; ``share`` of the budget is used.

        Raises:
            TrainingError: a loss is not finite.
        """
        if progress.step % _REPORT_EVERY == 0:
            self._losses.settle(progress)
            self._reporter.on_step(self._report(progress, share))
            self._tokens, self._kept = 0, progress.seconds
            progress.recent.clear()
        elif progress.seconds - self._told > _TELL_EVERY_SECONDS:
            self._losses.settle(progress)
            self._reporter.on_progress(self._report(progress, share))

    def _report(self, progress: Progress, share: float) -> StepReport:
        """Return what is told of the losses since the last report that was kept."""
        self._told = progress.seconds
        return StepReport(
            step=progress.step,
            epoch=self._task.epochs(),
            train_loss=sum(progress.recent) / len(progress.recent),
            learning_rate=self._optimizer.param_groups[0]["lr"],
            tokens_per_second=self._tokens / max(progress.seconds - self._kept, 1e-9),
            seconds=progress.seconds,
            done=min(share, 1.0),
            threads=progress.threads,
            unit=self._task.unit,
        )

    def measured(
        self, progress: Progress, found: Evaluation, *, train_loss: float, best: bool
    ) -> None:
        """Tell of a measurement on the validation part, with a sample of what the model writes."""
        self._reporter.on_evaluation(
            EvaluationReport(
                step=progress.step,
                epoch=self._task.epochs(),
                train_loss=train_loss,
                validation_loss=found.loss,
                split=self._task.split,
                best=best,
                measured=found.measured,
                seconds=progress.seconds,
                sample=self._task.sample(),
                unit=self._task.unit,
            )
        )
