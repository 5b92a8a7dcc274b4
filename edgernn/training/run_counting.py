"""Networks that are to count: small ones, trained on lines of aⁿbⁿ or aⁿbⁿcⁿ from several seeds.

Every seed learns the lines that it sees, and most count beyond them. The one with the least loss on
the lines of the validation, up to twice the longest in training, is kept; longer ones have no part
in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgernn.contract import validated
from edgernn.data.text import counting
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.training.counting import VALIDATED
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget
from edgernn.writing.counting import Counted, count_lines

TRIES = 3
_HIDDEN, _EMBEDDING, _RATE, _WARMUP, _EVALUATIONS = 10, 8, 0.2, 0.2, 40


@dataclass(frozen=True)
class Trained:
    """What was kept of the tries.

    Attributes:
        run: the one that was kept; or the one that a signal ended.
        tries: how many were made.
        losses: of each try, on the validation, in nats a decided token.
    """

    run: Run
    tries: int
    losses: tuple[float, ...]


def train_counting(
    data: str,
    cell: str,
    out: Path,
    *,
    steps: int,
    seed: int = 0,
    tries: int = TRIES,
    reporter: Reporter | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train one-layer networks of ``cell`` on ``data``, a row of ``counting.LETTERS``, each into a
    folder of its own in ``out``; return the one with the least loss on the validation.

    Raises:
        UsageError, TrainingError, StorageError: as ``train_text``.
    """
    letters = counting.LETTERS[data]
    model = {"cell": cell, "hidden": _HIDDEN, "layers": 1, "embedding": _EMBEDDING}
    setup = TextSetup(model=model, state_penalty=0.0, letters=letters)
    runs: list[Run] = []
    for place in range(seed, seed + tries):
        folder = out / f"seed-{place}"
        options = _options(letters, steps=steps, seed=place)
        run = train_text(data, folder, options=options, setup=setup, reporter=reporter)
        if run.interrupted:
            return Trained(run, len(runs) + 1, _losses(runs))
        runs.append(run)
        counted = _validated(folder, letters)
        tell(
            f"{folder}: loss {_loss(run):.4f}; right on {counted.beyond:.0%} of the lines with n "
            f"from {counting.LONGEST + 1} to {VALIDATED}"
        )
    return Trained(min(runs, key=_loss), tries, _losses(runs))


def _options(letters: str, *, steps: int, seed: int) -> TrainOptions:
    return validated(
        TrainOptions,
        budget=Budget(unit="steps", amount=steps),
        batch=counting.LONGEST,
        chunk=len(counting.line(letters, counting.LONGEST)),
        peak_rate=_RATE,
        floor=0.0,
        warmup=_WARMUP,
        weight_decay=0.0,
        evaluations=_EVALUATIONS,
        patience=0,
        seed=seed,
        mixed="off",
        threads=1,
    )


def _loss(run: Run) -> float:
    return math.inf if run.validation_loss is None else run.validation_loss


def _losses(runs: list[Run]) -> tuple[float, ...]:
    return tuple(_loss(run) for run in runs)


def _validated(folder: Path, letters: str) -> Counted:
    found = checkpoint.load(folder)
    model = found.model
    assert isinstance(model, LanguageModel)
    tokenizer = Tokenizer.load(folder / checkpoint.TOKENIZER)
    decoding = model.config.decoding(tokenizer)
    return count_lines(EagerSession(model), tokenizer, decoding, letters, longest=VALIDATED)
