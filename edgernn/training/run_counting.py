"""Networks that are to count: small ones, trained on lines of aⁿbⁿ or aⁿbⁿcⁿ from several seeds.

Every seed learns the lines that it sees. Not every one learns to count: some find that a state may
as well fade. So a run is repeated with the next seed until the network is right on every line up to
three times the longest it saw, ``tries`` times at most; the best of them is kept. Longer lines have
no part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgernn.contract import validated
from edgernn.data.text import counting
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.models import checkpoint
from edgernn.models.eager import EagerSession
from edgernn.models.language import LanguageModel
from edgernn.training.options import TrainOptions
from edgernn.training.progress import Reporter
from edgernn.training.run import Run
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget
from edgernn.writing.counting import Counted, count_lines

TRIES = 5
_CHOSEN_BY = 3  # times the longest line in training, up to which a try is judged
_HIDDEN, _EMBEDDING, _RATE, _BATCH, _CHUNK = 12, 8, 0.1, 128, 128


@dataclass(frozen=True)
class Trained:
    """What was kept of the tries.

    Attributes:
        run: the one that was kept; or the one that a signal ended.
        tries: how many were made.
        counted: its lines up to three times the longest in training.
    """

    run: Run
    tries: int
    counted: Counted


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
    folder of its own in ``out``; return the one that counts furthest.

    Raises:
        UsageError, TrainingError, StorageError: as ``train_text``.
    """
    best: Trained | None = None
    for place in range(tries):
        options = validated(
            TrainOptions,
            budget=Budget(unit="steps", amount=steps),
            batch=_BATCH,
            chunk=_CHUNK,
            peak_rate=_RATE,
            weight_decay=0.0,
            evaluations=4,
            patience=0,
            seed=seed + place,
        )
        model = {"cell": cell, "hidden": _HIDDEN, "layers": 1, "embedding": _EMBEDDING}
        setup = TextSetup(model=model, state_penalty=0.0)
        folder = out / f"seed-{seed + place}"
        run = train_text(data, folder, options=options, setup=setup, reporter=reporter)
        if run.interrupted:
            return Trained(run, place + 1, Counted((), counting.LONGEST))
        counted = _judged(folder, counting.LETTERS[data])
        tell(f"{folder}: right on {counted.beyond:.0%} of the lines up to three times the longest")
        if best is None or counted.right.count(True) > best.counted.right.count(True):
            best = Trained(run, place + 1, counted)
        if all(counted.right):
            break
    assert best is not None  # tries is at least 1
    return replace(best, tries=place + 1)


def _judged(folder: Path, letters: str) -> Counted:
    found = checkpoint.load(folder)
    model = found.model
    assert isinstance(model, LanguageModel)
    tokenizer = Tokenizer.load(folder / checkpoint.TOKENIZER)
    decoding = model.config.decoding(tokenizer)
    longest = _CHOSEN_BY * counting.LONGEST
    return count_lines(EagerSession(model), tokenizer, decoding, letters, longest=longest)
