"""The shapes of runs: how many rows, and how many steps a call has, drawn by a seed that no file
can foresee.

A file that is right at every shape that is always tried may be wrong at all others. So each run
draws its shapes anew, one of every range from small to large, and says by which seed: the same seed
gives the same shapes again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SEVERAL, MANY = (2, 8), (9, 33)  # rows: one number of each range is drawn
LENGTHS = (
    (2, 6),
    (7, 16),
    (17, 64),
    (65, 128),
    (129, 257),
)  # steps of a call: one of each range is drawn
_SEED_BYTES = 4  # short enough to be typed again
_MOST_VALUES = 1 << 23  # of one tensor of one call: 32 MiB in float32


@dataclass(frozen=True)
class Shapes:
    """What one seed draws.

    Attributes:
        several, many: rows of a batch, within ``SEVERAL`` and ``MANY``.
        lengths: steps of a call, one within each of ``LENGTHS``, from the shortest to the longest.
        order: a seed for what else is shuffled.
    """

    several: int
    many: int
    lengths: tuple[int, ...]
    order: int

    def shuffled(self, lengths: Sequence[int], *, singles: int = 2) -> tuple[int, ...]:
        """Return ``lengths`` in an order of their own, with ``singles`` single steps among them."""
        both = [*lengths, *(1,) * singles]
        return tuple(np.random.default_rng(self.order + len(both)).permutation(both).tolist())


def unforeseen_seed() -> int:
    """Return a seed that nothing in a file can know: 0 to 2^32 - 1, from the operating system."""
    return int.from_bytes(os.urandom(_SEED_BYTES), "little")


def draw(seed: int) -> Shapes:
    """Return the shapes of ``seed``, an integer of 0 or more; the same for the same seed."""
    random = np.random.default_rng(seed)
    several, many, *lengths = (
        int(random.integers(low, high + 1)) for low, high in (SEVERAL, MANY, *LENGTHS)
    )
    return Shapes(several, many, tuple(lengths), int(random.integers(1 << 31)))


def fitting(lengths: Sequence[int], *, rows: int, widest: int) -> tuple[int, ...]:
    """Shorten calls whose largest tensor, ``[rows, T, widest]``, would take more than 32 MiB; none
    is below 1.
    """
    most = max(1, _MOST_VALUES // (rows * widest))
    return tuple(min(length, most) for length in lengths)
