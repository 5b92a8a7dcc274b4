"""What every kind of run shares: its folder, its reporters, the loop, and what is told of it at the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor

from edgernn.errors import CheckpointError, UsageError
from edgernn.models import checkpoint
from edgernn.training import resume
from edgernn.training.device import choose_device
from edgernn.training.distributed import World, world
from edgernn.training.loop import Loop, Task
from edgernn.training.options import TrainOptions
from edgernn.training.progress import MetricsFile, Reporter, Several, Silent
from edgernn.training.schedule import Budget

SETTINGS = "run.toml"
S_contra = TypeVar("S_contra", bound=BaseModel, contravariant=True)


@dataclass(frozen=True)
class Run:
    """How a run ended, measured at its best on ``split``; only the process that ``leads`` has something to print.

    Attributes:
        validation_loss: nats per token; None where the run was stopped before it was first measured.
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


def run_task(
    task: Task,
    out: Path,
    *,
    options: TrainOptions,
    setup: dict[str, Any],
    here: World,
    reporter: Reporter | None,
    resumed: tuple[resume.Progress, dict[str, Tensor]] | None = None,
) -> Run:
    """Train ``task`` into the folder ``out``, or go on from what ``resume.load`` read."""
    with _reporting(reporter, out, here=here, from_step=resumed[0].step if resumed else 0) as hearing:
        loop = Loop(task, options, path=out / resume.RESUME_FILE, world=here, reporter=hearing, setup=setup)
        if resumed:
            loop.restore(*resumed)
        progress = loop.run()
    return Run(
        folder=out,
        validation_loss=progress.best_loss if math.isfinite(progress.best_loss) else None,
        split=task.split,
        steps=progress.step,
        epochs=task.epochs(),
        seconds=progress.seconds,
        parameters=sum(p.numel() for p in task.model.parameters()),
        interrupted=loop.interrupted,
        leads=here.leads,
        measured=progress.measured,
    )


class MakeTask(Protocol[S_contra]):
    """Whatever rebuilds the task of a run from its folder."""

    def __call__(self, out: Path, options: TrainOptions, *, setup: S_contra, here: World, device: torch.device) -> Task:
        """Return the task, its model on ``device``."""


def resume_run(
    out: Path,
    kind: type[S_contra],
    make: MakeTask[S_contra],
    *,
    command: str,
    budget: Budget | None,
    device: str,
    reporter: Reporter | None,
) -> Run:
    """Go on with the run in ``out``, which ``edgernn train COMMAND`` began, as if it had never stopped.

    Args:
        out: the run's folder.
        kind: what its setup is.
        make: rebuilds its task.
        command: of ``edgernn train``.
        budget: a new one lengthens or shortens the run.
        device, reporter: as for a new run.

    Raises:
        CheckpointError: there is no run, its state is damaged, or another command began it.
    """
    chosen = choose_device(device)
    progress, tensors = resume.load(out / resume.RESUME_FILE)
    options = TrainOptions.model_validate(progress.options)
    if budget is not None:
        options = options.model_copy(update={"budget": budget})
    try:
        setup = kind.model_validate(progress.setup)
    except ValidationError as error:
        raise CheckpointError(
            f"the run in {out} is none of edgernn train {command}; resume it with the command it is of"
        ) from error
    with world() as here:
        task = make(out, options, setup=setup, here=here, device=chosen)
        whole = setup.model_dump()
        return run_task(task, out, options=options, setup=whole, here=here, reporter=reporter, resumed=(progress, tensors))


def refuse_existing(out: Path) -> None:
    """Raise UsageError where ``out`` is a file or holds a run already."""
    if out.is_file():
        raise UsageError(f"{out} is a file, expected a folder to train into")
    for name in (resume.RESUME_FILE, checkpoint.CONFIG, checkpoint.WEIGHTS):
        if (out / name).exists():
            raise UsageError(f"{out} holds a run already ({name}); add --resume to go on with it, or choose another --out")


@contextmanager
def _reporting(reporter: Reporter | None, out: Path, *, here: World, from_step: int) -> Iterator[Reporter]:
    if not here.leads:
        yield Silent()
        return
    hearing = Several(MetricsFile(out, from_step=from_step), reporter or Silent())
    try:
        yield hearing
    finally:
        hearing.close()
