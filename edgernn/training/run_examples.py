"""A whole run on examples, whatever the kind: examples and vocabulary, network, loop, and what is
left in the folder.

RUN/config.json, weights.safetensors,
    tokenizer.json, held_out.safetensors    the checkpoint, best on validation
RUN/training.safetensors                    the resumable state
RUN/examples/                               the examples
RUN/metrics.jsonl, loss.png                 how it went
RUN/gradients.json, gradients.png           how far gradients reach, where asked for
RUN/run.toml                                what the run was told: its options
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel

from edgernn.data.examples import VALIDATION, ExampleSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import CheckpointError
from edgernn.models import checkpoint
from edgernn.models.checkpoint_config import read_config
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.training.device import choose_device, mixed_precision
from edgernn.training.distributed import World
from edgernn.training.examples import ExampleTask
from edgernn.training.folder import refuse_existing
from edgernn.training.kinds import EXAMPLES, Kind
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run
from edgernn.training.schedule import Budget
from edgernn.training.starting import new_run, resume_run


def train_examples(
    kind: Kind[Any, Any],
    data: BaseModel,
    out: Path,
    *,
    options: TrainOptions,
    setup: BaseModel,
    device: str = "auto",
    reporter: Reporter | None = None,
    tell: Callable[[str], None] = lambda line: None,
    settings: str | None = None,
    began: float | None = None,
) -> Run:
    """Train a network of a kind into the folder ``out``.

    Args:
        kind: a row of ``kinds.TABLE``.
        data: where the examples come from.
        out: a folder that holds no run yet.
        options: of the loop.
        setup: of the network and the loss.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        reporter: who hears of the run.
        tell: hears, one line each, how the examples are prepared.
        settings: left in the folder as ``run.toml``.
        began: when the command began, by ``time.perf_counter``; a budget of minutes counts from
            there.

    Raises:
        UsageError, DataError, TrainingError, StorageError: see errors.py.
    """
    chosen = choose_device(device)
    refuse_existing(out)
    kind.check(data, setup)
    return new_run(
        out,
        options,
        setup,
        partial(_task, kind=kind),
        prepare=partial(_prepare, kind, data, out, setup=setup, tell=tell),
        data=out / EXAMPLES,
        lower=kind.lower,
        device=chosen,
        reporter=reporter,
        settings=settings,
        began=began,
    )


def resume_examples(
    kind: Kind[Any, Any],
    out: Path,
    *,
    budget: Budget | None = None,
    threads: int | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Run:
    """Go on with the run in ``out`` as if it had never stopped; a new ``budget`` lengthens or
    shortens it.

    Raises:
        CheckpointError, DataError, UsageError: see ``resume_run``.
    """
    return resume_run(
        out,
        kind.setup,
        partial(_task, kind=kind),
        command=kind.command,
        data=out / EXAMPLES,
        lower=kind.lower,
        budget=budget,
        threads=threads,
        device=device,
        reporter=reporter,
    )


def _prepare(
    kind: Kind[Any, Any],
    data: BaseModel,
    out: Path,
    *,
    setup: BaseModel,
    tell: Callable[[str], None],
) -> None:
    """Prepare the examples; the vocabulary of an attempt that ended before its first save would
    be taken for theirs.
    """
    (out / checkpoint.TOKENIZER).unlink(missing_ok=True)
    kind.prepare(data, out, setup=setup, tell=tell)


def _begun(out: Path) -> NetworkConfig | None:
    """Return the network of the checkpoint in ``out``, None where none was saved yet: a run goes on
    with the layers that it began with, whatever is made of its options now.
    """
    with suppress(CheckpointError):
        _, config, _ = read_config(out / checkpoint.CONFIG)
        return config if isinstance(config, NetworkConfig) else None
    return None


def _task(
    out: Path,
    options: TrainOptions,
    *,
    setup: Any,
    here: World,
    device: torch.device,
    kind: Kind[Any, Any],
) -> ExampleTask:
    path = out / checkpoint.TOKENIZER
    tokenizer = Tokenizer.load(path) if path.exists() else None
    examples = ExampleSet.open(out / EXAMPLES)
    torch.manual_seed(options.seed)
    network = Network(_begun(out) or kind.network(setup, examples, tokenizer))
    network.restrict()
    objective = kind.objective(setup, examples, tokenizer)
    if here.rank:
        # dropout and noise differ between processes; weights do not
        torch.manual_seed(options.seed + here.rank)
    about = {
        "corpus": examples.source,
        "unit": objective.step or objective.unit,
        "train_examples": examples.count("train"),
        "validation_examples": examples.count(VALIDATION),
        "options": options.model_dump(),
        "setup": setup.model_dump(mode="json"),
    }
    return ExampleTask(
        network.to(device),
        examples,
        objective=objective,
        world=here,
        batch=options.batch,
        seed=options.seed,
        mixed=mixed_precision(options.mixed, device),
        folder=out,
        about=about,
        vanishing_penalty=options.vanishing_penalty,
    )
