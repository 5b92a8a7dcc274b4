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
from typing import Any, Protocol, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from edgernn.contract import first_line
from edgernn.errors import CheckpointError, DataError
from edgernn.training import resume
from edgernn.training.device import choose_device
from edgernn.training.distributed import World, world
from edgernn.training.fingerprint import fingerprint
from edgernn.training.folder import run_folder
from edgernn.training.loop import Loop
from edgernn.training.memory import naming_what_to_lower
from edgernn.training.metrics import MetricsFile
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter, Several, Silent
from edgernn.training.schedule import Budget
from edgernn.training.signals import Signals, listening
from edgernn.training.task import Task

SETTINGS = "run.toml"
S_contra = TypeVar("S_contra", bound=BaseModel, contravariant=True)
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
        measured yet.
        """
        if self.validation_loss is None or self.unigram_entropy is None:
            return True
        return self.validation_loss < _LEARNED * self.unigram_entropy


class TrainedTask(Task, Protocol):
    """A task whose loss can be judged."""

    def unigram_entropy(self) -> float:
        """Return the entropy in nats of how often each token occurs in the validation part."""


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
    """
    with _reporting(
        reporter, out, here=here, from_step=resumed[0].step if resumed else 0
    ) as listeners:
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


class MakeTask(Protocol[S_contra]):
    """Whatever rebuilds the task of a run from its folder."""

    def __call__(
        self,
        out: Path,
        options: TrainOptions,
        *,
        setup: S_contra,
        here: World,
        device: torch.device,
    ) -> TrainedTask:
        """Return the task, its model on ``device``."""


def resume_run(
    out: Path,
    kind: type[S_contra],
    make: MakeTask[S_contra],
    *,
    command: str,
    data: Path,
    lower: str,
    budget: Budget | None,
    threads: int | None,
    device: str,
    reporter: Reporter | None,
) -> Run:
    """Go on with the run in ``out``, which ``edgernn train COMMAND`` began, as if it had never
    stopped.

    Args:
        out: the run's folder.
        kind: what its setup is.
        make: rebuilds its task.
        command: of ``edgernn train``.
        data: the folder of its encoded corpus.
        lower: options that a run with less memory has smaller.
        budget: a new one lengthens or shortens the run.
        threads: another number of threads than it had.
        device, reporter: as for a new run.

    Raises:
        CheckpointError: there is no run, its state is damaged, or another command began it.
        DataError: its corpus is missing or another.
        UsageError: another process trains into ``out``.
    """
    chosen = choose_device(device)
    path = out / resume.RESUME_FILE
    if not path.exists():
        resume.load(path)  # says what is missing, before a folder is made for the lock
    with (
        listening() as signals,
        world() as here,
        run_folder(out, here),
        naming_what_to_lower(lower),
    ):
        progress, tensors = resume.load(path)
        try:
            options = TrainOptions.model_validate(progress.options)
        except (ValidationError, RecursionError) as error:
            raise resume.damaged(path, f"its options: {first_line(error)}") from error
        if budget is not None:
            options = options.model_copy(update={"budget": budget})
        if threads is not None:
            options = options.model_copy(update={"threads": threads})
        try:
            setup = kind.model_validate(progress.setup)
        except (ValidationError, RecursionError) as error:
            other = "captions" if command == "text" else "text"
            raise CheckpointError(
                f"the run in {out} is none of edgernn train {command} ({first_line(error)}); "
                f"where it is one of edgernn train {other}, resume it with that"
            ) from error
        found = _fingerprint_of(data, out, command)
        if progress.data not in {"", found}:
            raise DataError(
                f"the corpus in {data} is not the one that the run in {out} was trained on; "
                "put it back, "
                "or start a new run in another folder"
            )
        task = make(out, options, setup=setup, here=here, device=chosen)
        return run_task(
            task,
            out,
            options=options,
            setup=setup.model_dump(),
            here=here,
            reporter=reporter,
            data=found,
            signals=signals,
            resumed=(progress, tensors),
        )


def _fingerprint_of(data: Path, out: Path, command: str) -> str:
    try:
        return fingerprint(data)
    except OSError as error:
        raise DataError(
            f"the run in {out} cannot go on without its corpus: {error.strerror} "
            f"({error.filename}); put {data} back, "
            f"or start a new run in another folder with edgernn train {command}"
        ) from error


@contextmanager
def _reporting(
    reporter: Reporter | None, out: Path, *, here: World, from_step: int
) -> Iterator[Reporter]:
    if not here.leads:
        yield Silent()
        return
    listener = reporter or Silent()
    listeners = Several(MetricsFile(out, from_step=from_step, tell=listener.on_note), listener)
    try:
        yield listeners
    finally:
        listeners.close()
