"""Built-in texts that only who counts can predict: lines of aⁿbⁿ, and of aⁿbⁿcⁿ.

After the first ``b`` everything up to the end of the line is decided by how many ``a`` there were
(Gers & Schmidhuber 2001, "LSTM recurrent networks learn simple context-free and context-sensitive
languages"; Weiss, Goldberg & Yahav 2018). No finite automaton knows it for every n; a cell that
goes up by one with each ``a`` and down by one with each ``b`` does.

n is drawn from a geometric distribution and drawn again above ``LONGEST``: whether one more ``a``
comes then depends on nothing, so that nothing but the counting is to be learned.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from functools import partial

LONGEST = 20  # n of the longest line that is ever drawn
LETTERS = {"counting-ab": "ab", "counting-abc": "abc"}
_MEAN = 8.0  # of the geometric distribution, before what is above LONGEST is drawn again
_LINES = 8000
_PIECE = 100  # lines


def line(letters: str, n: int) -> str:
    """Return each of ``letters`` ``n`` times, and a newline."""
    return "".join(letter * n for letter in letters) + "\n"


def decided(letters: str, n: int) -> range:
    """Return the places of ``line(letters, n)`` that what stands before them decides: everything
    after the first letter's run and the one letter that follows it.
    """
    return range(n + 1, len(letters) * n + 1)


def read_chunks(letters: str, *, lines: int = _LINES, seed: int = 0) -> Iterator[str]:
    """Yield the corpus, ``lines`` of ``letters`` with n from 1 to ``LONGEST``; the same ``seed``
    makes the same.
    """
    rng = random.Random(f"{letters} {seed}")
    for start in range(0, lines, _PIECE):
        drawn = (_length(rng) for _ in range(min(_PIECE, lines - start)))
        yield "".join(line(letters, n) for n in drawn)


def _length(rng: random.Random) -> int:
    while True:
        n = 1 + int(math.log1p(-rng.random()) / math.log1p(-1 / _MEAN))
        if n <= LONGEST:
            return n


READERS = {name: partial(read_chunks, letters) for name, letters in LETTERS.items()}
