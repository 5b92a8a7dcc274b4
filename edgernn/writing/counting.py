"""Whether a language model counts: what it predicts of lines of aⁿbⁿ or aⁿbⁿcⁿ of every length.

A line counts as right where the most probable token is the true one at each place that is decided
by what stands before it (``data.text.counting.decided``): every letter after the first ``b``, and
the end of the line neither early nor late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgernn import plots
from edgernn.bundle import Bundle
from edgernn.contract import Decoding
from edgernn.data.text import counting
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.decoding.course import read_text
from edgernn.families.language import text_logits
from edgernn.sessions.base import Session
from edgernn.sessions.opening import first_that_runs
from edgernn.writing.text import open_tokenizer

_ROWS = 4096  # positions of which the scores are held at once
_DRAWN = 3  # cells


@dataclass(frozen=True)
class Counted:
    """Which lines were right.

    Attributes:
        right: at n - 1, whether the line of n was.
        trained: n of the longest line in training.
    """

    right: tuple[bool, ...]
    trained: int

    def share(self, first: int, last: int) -> float:
        """Return the share of right lines with n from ``first`` to ``last``."""
        return float(np.mean(self.right[first - 1 : last]))

    @property
    def seen(self) -> float:
        """The share of right lines of lengths that were trained."""
        return self.share(1, self.trained)

    @property
    def beyond(self) -> float:
        """The share of right lines of lengths that were not trained, up to the longest asked."""
        return self.share(self.trained + 1, len(self.right))

    @property
    def first_wrong(self) -> int | None:
        """n of the shortest line that was wrong; None where all were right."""
        return next((n for n, right in enumerate(self.right, 1) if not right), None)


def count_lines(
    session: Session,
    tokenizer: Tokenizer,
    decoding: Decoding,
    letters: str,
    *,
    longest: int,
    trained: int = counting.LONGEST,
) -> Counted:
    """Ask for every line of ``letters`` with n from 1 to ``longest``, each from the first state.

    Args:
        session: of a language model's step.
        tokenizer: knows ``letters`` and the newline.
        decoding: its start tokens are fed before each line.
        letters: such as ``ab``.
        longest: the largest n.
        trained: n of the longest line in training.

    Raises:
        DataError: the vocabulary lacks a letter.
    """
    right = []
    for n in range(1, longest + 1):
        ids = tokenizer.encode(counting.line(letters, n)).astype(np.int64)  # [N]
        begun = len(decoding.start)
        read = np.concatenate([np.array(decoding.start, np.int64), ids[:-1]])
        logits = np.concatenate(list(text_logits(session, read, rows=_ROWS)))
        places = np.array(counting.decided(letters, n))
        # after start and place tokens of the line, the logits are of the token at that place
        right.append(bool((logits[places + begun - 1].argmax(1) == ids[places]).all()))
    return Counted(tuple(right), trained)


def states_of(
    session: Session, tokenizer: Tokenizer, decoding: Decoding, text: str
) -> dict[str, np.ndarray]:
    """Return every state after each character of ``text``, ``[N, L, H]`` by name."""
    ids = np.concatenate([np.array(decoding.start, np.int64), tokenizer.encode(text)])
    states = list(read_text(session, ids))[len(decoding.start) :]
    return {name: np.stack([s[name][:, 0] for s in states]) for name in states[0]}


def counters(states: np.ndarray, letters: str, n: int) -> Sequence[tuple[int, int]]:
    """Return (layer, unit) of the cells of ``states [N, L, H]`` over a line, those first that go
    furthest between two letters' runs.
    """
    ends = [place * n - 1 for place in range(1, len(letters) + 1)]
    travelled = np.abs(np.diff(states[ends], axis=0)).sum(0)  # [L, H]
    order = np.argsort(-travelled, axis=None, kind="stable")
    return [(int(at) // states.shape[2], int(at) % states.shape[2]) for at in order]


def measure(source: Path, letters: str, *, longest: int) -> Counted:
    """Ask the first file of the bundle ``source`` that runs for every line up to ``longest``.

    Raises:
        BundleError, DataError, UnavailableError: see errors.py.
    """
    with Bundle.open(source) as bundle:
        _, session = first_that_runs(bundle)
        decoding = bundle.manifest.decoding_defaults
        return count_lines(session, open_tokenizer(bundle), decoding, letters, longest=longest)


def draw(bundles: Mapping[str, tuple[Path, str]], path: Path, *, n: int) -> None:
    """Draw what the cells of each network do over a line.

    Args:
        bundles: in words, a bundle and the letters of its lines.
        path: the picture to write.
        n: of the line.

    Raises:
        BundleError, StorageError, UnavailableError: see errors.py.
    """
    panels = []
    for title, (source, letters) in bundles.items():
        with Bundle.open(source) as bundle:
            _, session = first_that_runs(bundle)
            text = counting.line(letters, n)
            decoding = bundle.manifest.decoding_defaults
            states = states_of(session, open_tokenizer(bundle), decoding, text)
        name, values = list(states.items())[-1]  # of an LSTM the cell state, not its output
        chosen = counters(values, letters, n)[:_DRAWN]
        series = {
            f"{name} {layer}.{unit}": values[:, layer, unit].tolist() for layer, unit in chosen
        }
        places = range(1, len(text) + 1)
        panels.append(plots.Panel(f"{title}, n = {n}", places, series, "character", "state"))
    plots.lines(panels, path)
