"""What every kind of run shares: its folder, its reporters, the loop, and what is told of it at the
end.
"""

from __future__ import annotations

import math
import signal as signals_of
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from edgernn.errors import UsageError
from edgernn.training import resume
from edgernn.training.distributed import World
from edgernn.training.gradients_file import GradientsFile, HasGradients
from edgernn.training.loop import Loop
from edgernn.training.metrics import MetricsFile
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter, Several, Silent
from edgernn.training.signals import Signals
from edgernn.training.task import Task

_LEARNED = (
    0.95  # of the unigram entropy: a loss below it knows more than how often each token occurs
)


@dataclass(frozen=True)
class Run:
    """How a run ended, measured at its best on ``split``; only the process that ``leads`` has
    something to print.

    Attributes:
        validation_loss: nats per token; None where the run was stopped before it was first
            measured.
        unit: what a token is, as ``character``.
        unigram_entropy: nats per token of guessing each as often as it occurs in the validation
            part.
        signal: what ended the run, where it was ``interrupted``.
        measured: further figures by name.
    """

    folder: Path
    validation_loss: float | None
    split: str
    steps: int
    epochs: float
    seconds: float
    parameters: int
    interrupted: bool
    leads: bool = True
    measured: dict[str, float] = field(default_factory=dict)
    unigram_entropy: float | None = None
    unit: str = "token"
    signal: int = signals_of.SIGINT

    @property
    def learned(self) -> bool:
        """Whether the model knows more than how often each token occurs; True where nothing was
        measured yet, or what is held out asks for one answer alone, which nothing can tell.
        """
        if self.validation_loss is None or not self.unigram_entropy:
            return True
        return self.validation_loss < _LEARNED * self.unigram_entropy


class TrainedTask(Task, Protocol):
    """A task whose loss can be judged."""

    def unigram_entropy(self) -> float | None:
        """Return the entropy in nats of how often each token occurs in the validation part; None
        where nothing is guessed.
        """


def run_task(
    task: TrainedTask,
    out: Path,
    *,
    options: TrainOptions,
    setup: dict[str, Any],
    here: World,
    reporter: Reporter | None,
    data: str = "",
    signals: Signals | None = None,
    began: float | None = None,
    resumed: tuple[resume.Progress, dict[str, Tensor]] | None = None,
) -> Run:
    """Train ``task`` into the folder ``out``, or go on from what ``resume.load`` read.

    ``data`` tells the corpus from another, ``signals`` hears what asks the run to end. A budget of
    minutes counts from the moment ``began``.

    Raises:
        UsageError: gradients are asked for that no task of this kind has.
    """
    gradients = _measured_on(task) if options.gradients else None
    from_step = resumed[0].step if resumed else 0
    with _reporting(reporter, out, here=here, from_step=from_step, of=gradients) as listeners:
        path = out / resume.RESUME_FILE
        loop = Loop(
            task,
            options,
            path=path,
            world=here,
            reporter=listeners,
            setup=setup,
            data=data,
            signals=signals,
            began=began,
        )
        if resumed:
            loop.restore(*resumed)
        progress = loop.run()
    return Run(
        folder=out,
        validation_loss=progress.best_loss if math.isfinite(progress.best_loss) else None,
        split=task.split,
        unit=task.unit,
        steps=progress.step,
        epochs=task.epochs(),
        seconds=progress.seconds,
        parameters=sum(p.numel() for p in task.model.parameters()),
        interrupted=loop.interrupted,
        leads=here.leads,
        measured=progress.measured,
        unigram_entropy=task.unigram_entropy(),
        signal=loop.signal or signals_of.SIGINT,
    )


def _measured_on(task: TrainedTask) -> HasGradients:
    """Return the task as one that tells how far gradients reach, before anything is trained."""
    if isinstance(task, HasGradients) and task.gradient_norms():
        return task
    raise UsageError(
        "no gradient goes back to an earlier step, for no example has two; leave --gradients out"
    )


@contextmanager
def _reporting(
    reporter: Reporter | None,
    out: Path,
    *,
    here: World,
    from_step: int,
    of: HasGradients | None,
) -> Iterator[Reporter]:
    if not here.leads:
        yield Silent()
        return
    listener = reporter or Silent()
    files: list[Reporter] = [MetricsFile(out, from_step=from_step, tell=listener.on_note)]
    if of is not None:
        files.append(GradientsFile(of, out, listener.on_note))
    listeners = Several(*files, listener)
    try:
        yield listeners
    finally:
        listeners.close()
