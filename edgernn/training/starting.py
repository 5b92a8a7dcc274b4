"""How a run of any kind starts: anew, or from where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from pydantic import BaseModel, ValidationError

from edgernn import storage
from edgernn.contract import first_line
from edgernn.errors import CheckpointError, DataError
from edgernn.training import resume
from edgernn.training.device import choose_device
from edgernn.training.distributed import World, world
from edgernn.training.fingerprint import fingerprint
from edgernn.training.folder import run_folder
from edgernn.training.memory import naming_what_to_lower
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run, TrainedTask, run_task
from edgernn.training.schedule import Budget
from edgernn.training.signals import listening

SETTINGS = "run.toml"
S_contra = TypeVar("S_contra", bound=BaseModel, contravariant=True)


class MakeTask(Protocol[S_contra]):
    """Whatever builds the task of a run from its folder."""

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


def new_run(
    out: Path,
    options: TrainOptions,
    setup: S_contra,
    make: MakeTask[S_contra],
    *,
    prepare: Callable[[], object],
    data: Path,
    lower: str,
    device: torch.device,
    reporter: Reporter | None,
    settings: str | None,
    began: float | None,
) -> Run:
    """Begin a run in the folder ``out``, which holds none yet.

    Args:
        out: the run's folder.
        options, setup: of the loop, and of what is trained.
        make: builds its task from the folder.
        prepare: makes the vocabulary and the encoded corpus, in one of the processes.
        data: the folder of the encoded corpus.
        lower: options that a run with less memory has smaller.
        device: of the model.
        reporter: who hears of the run.
        settings: left in the folder as ``run.toml``.
        began: when the command began, by ``time.perf_counter``.

    Raises:
        UsageError, DataError, TrainingError, StorageError: see errors.py.
    """
    with (
        listening() as signals,
        world() as here,
        run_folder(out, here, new=True),
        naming_what_to_lower(lower),
    ):
        if here.leads:
            prepare()
            if settings is not None:
                storage.write_text(out / SETTINGS, settings)
        here.wait()
        task = make(out, options, setup=setup, here=here, device=device)
        return run_task(
            task,
            out,
            options=options,
            setup=setup.model_dump(),
            here=here,
            reporter=reporter,
            data=fingerprint(data),
            signals=signals,
            began=began,
        )


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
            raise CheckpointError(
                f"the run in {out} is none of edgernn train {command} ({first_line(error)}); "
                "resume it with the command of edgernn train that began it"
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
