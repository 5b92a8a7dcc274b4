"""The random numbers that decide between tokens: SplitMix64, so that every host draws the same from
one seed.

The n-th number of a seed needs no other number, so a text can go on anywhere from its seed and its
position. In the terms of Steele, Lea and Flood, "Fast splittable pseudorandom number generators"
(2014), all sums and products modulo 2^64:

    z = seed + (n + 1) · 0x9E3779B97F4A7C15
    z = (z xor z >> 30) · 0xBF58476D1CE4E5B9
    z = (z xor z >> 27) · 0x94D049BB133111EB
    u = (z xor z >> 31) >> 11, times 2^-53
"""

from __future__ import annotations

import operator
from typing import Literal

import numpy as np

from edgernn.errors import UsageError

GENERATOR: Literal["splitmix64"] = "splitmix64"  # its name in files
SEEDS = 1 << 64  # how many seeds there are
_INCREMENT = 0x9E3779B97F4A7C15
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_UNIT = 2.0**-53  # what one step of the 53 bits of a float64 is worth


def uniform_numbers(seed: int, count: int, *, position: int = 0) -> np.ndarray:
    """Return ``count`` numbers of ``seed``, float64 ``[count]``, each in [0, 1).

    Args:
        seed: 0 to 2^64 - 1.
        count: 0 or more.
        position: how many numbers of the seed come before, ``Snapshot.position``.

    Raises:
        UsageError: the seed is out of its range.
    """
    places = np.arange(1, count + 1, dtype=np.uint64)
    first = np.uint64((checked_seed(seed) + position * _INCREMENT) % SEEDS)
    mixed = first + places * np.uint64(_INCREMENT)  # arrays of unsigned integers wrap around
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * _UNIT


def checked_seed(seed: int) -> int:
    """Return ``seed`` as a plain integer; raise UsageError where it is none, or out of its
    range.
    """
    try:
        whole = operator.index(seed)
    except TypeError as error:
        raise UsageError(
            f"the seed is {seed!r}, expected a whole number from 0 to 2^64 - 1; change it"
        ) from error
    if not 0 <= whole < SEEDS:
        raise UsageError(f"the seed is {whole}, expected 0 to 2^64 - 1 ({SEEDS - 1}); change it")
    return whole
