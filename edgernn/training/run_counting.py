"""Networks that are to count: small ones, trained on lines of aⁿbⁿ or aⁿbⁿcⁿ from several seeds.

Each seed has the same chance, and the one that has most of the lines of the validation right, up to
twice the longest in training, is kept, of equal ones that of the least loss; longer ones have no
part in it. Each cell learns at a rate that suits it: a GRU at the LSTM's only saturates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgernn.contract import validated
from edgernn.data.text import counting
from edgernn.training.counting import RIGHT, VALIDATED
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget

TRIES = 3
_HIDDEN, _EMBEDDING, _WARMUP, _EVALUATIONS = 10, 8, 0.2, 40
_RATE, _RATES = 0.2, {"gru": 0.02}


@dataclass(frozen=True)
class Trained:
    """What was kept of the tries.

    Attributes:
        run: the one that was kept; or the one that a signal ended.
        tries: how many were made.
        right: of each try, the share of the lines of the validation.
    """

    run: Run
    tries: int
    right: tuple[float, ...]


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
    folder of its own in ``out``; return the one that has most of the validation right.

    Raises:
        UsageError, TrainingError, StorageError: as ``train_text``.
    """
    letters = counting.LETTERS[data]
    model = {"cell": cell, "hidden": _HIDDEN, "layers": 1, "embedding": _EMBEDDING}
    setup = TextSetup(model=model, state_penalty=0.0, letters=letters)
    runs: list[Run] = []
    for place in range(seed, seed + tries):
        folder = out / f"seed-{place}"
        options = _options(letters, cell, steps=steps, seed=place)
        run = train_text(data, folder, options=options, setup=setup, reporter=reporter)
        if run.interrupted:
            return Trained(run, len(runs) + 1, _shares(runs))
        runs.append(run)
        tell(
            f"{folder}: {_shares([run])[0]:.1%} of the lines with n up to {VALIDATED} right, loss "
            f"{_loss(run):.4f}"
        )
    best = max(runs, key=lambda run: (*_shares([run]), -_loss(run)))
    return Trained(best, tries, _shares(runs))


def _options(letters: str, cell: str, *, steps: int, seed: int) -> TrainOptions:
    return validated(
        TrainOptions,
        budget=Budget(unit="steps", amount=steps),
        batch=counting.LONGEST,
        chunk=len(counting.line(letters, counting.LONGEST)),
        peak_rate=_RATES.get(cell, _RATE),
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


def _shares(runs: list[Run]) -> tuple[float, ...]:
    return tuple(run.measured.get(RIGHT, 0.0) for run in runs)
