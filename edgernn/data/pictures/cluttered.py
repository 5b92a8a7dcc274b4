"""Digits at any place of a larger canvas, among pieces of other digits (Mnih et al. 2014, section
4.1): pictures that one look at the middle does not decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.data.pictures.digits import draw_digits, load_digits

_BATCH = 2000  # pictures that are made at once


@dataclass(frozen=True)
class Clutter:
    """How such a picture is laid out, in pixels.

    Attributes:
        side: of the picture.
        digit: the side of the square that a digit fills.
        pieces: how many pieces of other digits lie around.
        piece: the side of one.
    """

    side: int = 32
    digit: int = 14
    pieces: int = 4
    piece: int = 5


def cluttered_digits(
    split: str, count: int, *, clutter: Clutter | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Make pictures of a split: uint8 ``[N, S, S, 1]`` and labels int64 ``[N]``.

    Digits and pieces are of that split alone, each enlarged and written a little otherwise.

    Raises:
        UsageError: there is no such split.
        UnavailableError: scikit-learn is not installed.
    """
    clutter = clutter or Clutter()
    pictures, labels = load_digits(split)
    rng = np.random.default_rng([seed, len(pictures)])
    made = np.zeros((count, clutter.side, clutter.side, 1), np.uint8)
    chosen = rng.integers(len(pictures), size=count)
    for start in range(0, count, _BATCH):
        part = chosen[start : start + _BATCH]
        made[start : start + len(part), ..., 0] = _placed(pictures, part, clutter, rng)
    return made, labels[chosen]


def _placed(
    pictures: np.ndarray, chosen: np.ndarray, clutter: Clutter, rng: np.random.Generator
) -> np.ndarray:
    """Return the pictures of the digits ``chosen [N]``, uint8 ``[N, S, S]``."""
    count = len(chosen)
    digits = draw_digits(pictures[chosen], clutter.digit, rng=rng, varied=True)
    others = (
        np.repeat(np.arange(count), clutter.pieces)
        + rng.integers(1, max(count, 2), size=count * clutter.pieces)
    ) % count
    cuts = rng.integers(clutter.digit - clutter.piece + 1, size=(len(others), 2))
    corners = rng.integers(clutter.side - clutter.piece + 1, size=(len(others), 2))
    at = rng.integers(clutter.side - clutter.digit + 1, size=(count, 2))
    canvas = np.zeros((count, clutter.side, clutter.side), np.float32)
    for index in range(len(others)):
        (i, j), (y, x) = cuts[index], corners[index]
        piece = digits[others[index], i : i + clutter.piece, j : j + clutter.piece]
        _lay(canvas[index // clutter.pieces], piece, y, x)
    for index, (y, x) in enumerate(at):
        canvas[index, y : y + clutter.digit, x : x + clutter.digit] = 0
        _lay(canvas[index], digits[index], y, x)
    return np.rint(canvas * 255).astype(np.uint8)


def _lay(canvas: np.ndarray, piece: np.ndarray, y: int, x: int) -> None:
    """Lay ``piece`` on ``canvas [S, S]``, in place: the lighter of the two stays."""
    height, width = piece.shape
    part = canvas[y : y + height, x : x + width]
    np.maximum(part, piece, out=part)
