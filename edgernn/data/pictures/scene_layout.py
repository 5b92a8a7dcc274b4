"""Where the things of a drawn scene stand and how large they are, in master pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgernn.data.pictures.scene_drawing import MASTER, Box

# both counted in: 0.19 to 0.25 and 0.36 to 0.46 of 256
SIDES = {"small": (49, 64), "large": (93, 117)}
SIZES = tuple(SIDES)
_MARGIN, _GAP = 5, 8  # fewest master pixels between a thing and the edge, and between two things
_DEPTH = 20  # master pixels that a thing in a corner may stand further in
_DRIFT = 12  # master pixels that a thing in the middle may stand off


def place_one(side: int, rng: np.random.Generator) -> list[Box]:
    """Place a thing in one of the four corners or in the middle, each as often as the others."""
    corner = pick(rng, 0, 4)
    if corner == 4:
        left, top = ((MASTER - side) // 2 + pick(rng, -_DRIFT, _DRIFT) for _ in range(2))
    else:
        near_left, near_top = (_MARGIN + pick(rng, 0, _DEPTH) for _ in range(2))
        left = MASTER - side - near_left if corner % 2 else near_left
        top = MASTER - side - near_top if corner > 1 else near_top
    return [_box(left, top, side)]


def place_two(sides: Sequence[int], rng: np.random.Generator) -> list[Box]:
    """Place two things in one row or column, their centres at least twice as far apart along it as
    across it.
    """
    free = MASTER - 2 * _MARGIN - _GAP - sum(sides)
    extra = pick(rng, 0, free)
    first = _MARGIN + pick(rng, 0, free - extra)
    second = first + sides[0] + _GAP + extra
    offset = second - first + (sides[1] - sides[0]) / 2  # between the centres

    across = pick(rng, _MARGIN, MASTER - _MARGIN - sides[0])
    level = across + (sides[0] - sides[1]) / 2  # where the second centre is level with the first
    lowest = max(_MARGIN, math.ceil(level - offset / 2))
    highest = min(MASTER - _MARGIN - sides[1], math.floor(level + offset / 2))
    starts = [(first, across), (second, pick(rng, lowest, highest))]
    if rng.random() < 0.5:
        starts = [(across, along) for along, across in starts]
    return [_box(left, top, side) for (left, top), side in zip(starts, sides, strict=True)]


def _box(left: int, top: int, side: int) -> Box:
    return Box(*(edge / MASTER for edge in (left, top, left + side, top + side)))


def pick(rng: np.random.Generator, lowest: int, highest: int) -> int:
    """Return one of the whole numbers from ``lowest`` to ``highest``, both counted in."""
    return int(rng.integers(lowest, highest, endpoint=True))
