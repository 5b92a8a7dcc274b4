"""Pairs of one's own: a file of lines, a source and its target with a tab between them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.data.pairs.pair_ids import MARKS, marked
from edgernn.data.pairs.pairs import Pair, Pairs
from edgernn.errors import DataError

_MOST_BYTES = 1 << 30
MOST_CHARACTERS = 1000  # of a text
_FEWEST = 20  # pairs of a file
_LINE_END = re.compile(r"\r\n|\r|\n")
_REMEDY = "write a source, a tab and its target on every line"


def read_pairs(path: Path) -> tuple[Pair, ...]:
    """Return the pairs of a file in UTF-8, in its order; empty lines are passed over.

    Raises:
        DataError: the file is missing or no text, or a line is no pair; names the line.
    """
    try:
        text = storage.read_bytes(path, most=_MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {path}: {storage.reason(error)}; {_REMEDY}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text; save it as UTF-8") from error
    lines = enumerate(_LINE_END.split(text), 1)  # not where Unicode ends a line: it may be in one
    return tuple(_pair(path, number, line) for number, line in lines if line.strip())


def split_pairs(pairs: tuple[Pair, ...], path: Path, *, share: float, seed: int) -> Pairs:
    """Return ``pairs`` in two parts, drawn by ``seed``: all pairs of one source are in one part.

    Raises:
        DataError: there are too few of them, or of different sources.
    """
    sources = list(dict.fromkeys(source for source, _ in pairs))
    if len(sources) < _FEWEST:
        raise DataError(
            f"{path} has pairs of {len(sources)} different sources, expected {_FEWEST} or more; "
            "give more pairs"
        )
    order = np.random.default_rng(seed).permutation(len(sources))
    held = {sources[at] for at in order[: max(1, round(share * len(sources)))]}
    train = tuple(pair for pair in pairs if pair[0] not in held)
    return Pairs(train, tuple(pair for pair in pairs if pair[0] in held), str(path))


def _pair(path: Path, number: int, line: str) -> Pair:
    parts = line.split("\t")
    if len(parts) != 2:
        raise DataError(
            f"{path}, line {number}: it has {len(parts) - 1} tabs, expected 1; {_REMEDY}"
        )
    source, target = (part.strip() for part in parts)
    for name, text in (("source", source), ("target", target)):
        if not 0 < len(text) <= MOST_CHARACTERS:
            raise DataError(
                f"{path}, line {number}: its {name} has {len(text)} characters, expected 1 to "
                f"{MOST_CHARACTERS}; {_REMEDY}"
            )
        if taken := sorted({*text} & {*MARKS}):
            raise marked(taken[0], f"{path}, line {number}: its {name}")
    return source, target
