"""The handwritten digits that ship with scikit-learn (Alpaydin & Kaynak 1998: 1797 pictures of 8 x
8), so that a first model of pictures needs no download: split, enlarged, and written a little
otherwise each time.

Which digits are held out depends on nothing but this file: no picture of the validation split is
made of one that training sees.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from edgernn.errors import UnavailableError, UsageError
from edgernn.formats.installed import install_command
from edgernn.wording import expected_one_of

CLASSES = tuple("0123456789")
SPLITS = ("train", "validation")
_SIDE, _WHITE = 8, 16.0
_HELD_OUT = 300
_ORDER = 20261129  # the seed of the order in which digits are held out
_TURN, _SLANT, _STRETCH, _SHIFT = 0.15, 0.15, 0.1, 0.4  # radians, pixels a pixel, share, pixels


def load_digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits of a split: pictures float32 ``[N, 8, 8]``, 0 black to 1 white, and labels
    int64 ``[N]``, 0 to 9.

    Raises:
        UsageError: there is no such split.
        UnavailableError: scikit-learn is not installed.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r} of digits; {expected_one_of(split, SPLITS)}")
    pictures, labels = _all_digits()
    order = np.random.default_rng(_ORDER).permutation(len(pictures))
    chosen = order[_HELD_OUT:] if split == "train" else order[:_HELD_OUT]
    return pictures[chosen], labels[chosen]


def draw_digits(
    pictures: np.ndarray, side: int, *, rng: np.random.Generator, varied: bool
) -> np.ndarray:
    """Return each picture enlarged to ``side`` pixels by bilinear interpolation, float32 ``[N, S,
    S]``; ``varied`` also turns, slants, stretches and moves each a little, as ``rng`` has it.

    Args:
        pictures: float32 ``[N, 8, 8]``.
        side: S.
        rng: is drawn from where ``varied``.
        varied: whether no two are alike.
    """
    count, scale = len(pictures), pictures.shape[1] / side
    maps = np.broadcast_to(np.eye(2, dtype=np.float32) * scale, (count, 2, 2))
    middles = np.full((count, 2), (pictures.shape[1] - 1) / 2, np.float32)
    if varied:
        maps = _bent(count, rng) * scale
        middles = middles + rng.uniform(-_SHIFT, _SHIFT, (count, 2)).astype(np.float32)
    grid = np.indices((side, side)).transpose(1, 2, 0).astype(np.float32) - (side - 1) / 2
    places = grid.reshape(1, -1, 2) @ maps.transpose(0, 2, 1) + middles[:, None]  # [N, S S, 2]
    return _sampled(pictures, places.reshape(count, side, side, 2))


def _bent(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return how each of ``count`` pictures is turned, slanted and stretched: what (y, x) there is
    here, float32 ``[N, 2, 2]``.
    """
    turn, slant = rng.uniform(-_TURN, _TURN, count), rng.uniform(-_SLANT, _SLANT, count)
    turned, slanted = np.empty((count, 2, 2)), np.tile(np.eye(2), (count, 1, 1))
    turned[:, 0, 0] = turned[:, 1, 1] = np.cos(turn)
    turned[:, 1, 0] = np.sin(turn)
    turned[:, 0, 1] = -turned[:, 1, 0]
    slanted[:, 1, 0] = slant
    made = turned @ slanted * rng.uniform(1 - _STRETCH, 1 + _STRETCH, (count, 2, 1))
    return made.astype(np.float32)


def _sampled(pictures: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the bilinear samples of ``pictures [N, H, W]`` at ``places [N, S, S, 2]``, (y, x) in
    pixels; beyond the picture all is 0.
    """
    padded = np.pad(pictures, ((0, 0), (1, 2), (1, 2)))
    limit = np.array(pictures.shape[1:], np.float32)
    places = np.clip(places, -1, limit) + 1
    low = np.floor(places).astype(np.int64)
    share = (places - low).astype(np.float32)
    width = padded.shape[2]
    first = np.arange(len(pictures))[:, None, None] * (padded.shape[1] * width)
    at, flat = first + low[..., 0] * width + low[..., 1], padded.ravel()  # [N, S, S]
    b, a = share[..., 0], share[..., 1]
    top = flat[at] * (1 - a) + flat[at + 1] * a
    bottom = flat[at + width] * (1 - a) + flat[at + width + 1] * a
    made: np.ndarray = top * (1 - b) + bottom * b
    return made.astype(np.float32)


@cache
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise UnavailableError(
            "the built-in digits come with scikit-learn, which is not installed; run: "
            f"{install_command('train')}, or give your own pictures"
        ) from error
    digits = datasets.load_digits()
    return (digits.images / _WHITE).astype(np.float32), digits.target.astype(np.int64)
