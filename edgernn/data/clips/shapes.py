"""The shapes of a drawn clip: how much of each pixel one covers.

A shape is the signed distance from its edge, in pixels, below 0 inside (Quilez 2020, "2D distance
functions"); a pixel is covered by ``clip(1/2 - distance, 0, 1)``, so that a shape that moves by a
part of a pixel is seen to move.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_WAIST = 0.4  # of a cross: the half width of its arms over the half length
_RIM = 0.3  # of a ring: the half width of its rim over the radius
Distance = Callable[[np.ndarray, np.ndarray, float], np.ndarray]


def coverage(shape: str, centre: tuple[float, float], radius: float, size: int) -> np.ndarray:
    """Return how much of each pixel a shape covers, float32 ``[size, size]``, 0 to 1.

    Args:
        shape: a key of ``SHAPES``.
        centre: its middle ``(x, y)`` in pixels from the left and the top.
        radius: from its middle to its edge, in pixels.
        size: pixels on a side of the picture.
    """
    line = np.arange(size, dtype=np.float64) + 0.5
    x, y = line[None, :] - centre[0], line[:, None] - centre[1]
    distance = SHAPES[shape](x, y, radius)
    return np.asarray(np.clip(0.5 - distance, 0, 1), np.float32)


def _circle(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(np.hypot(x, y) - radius)


def _square(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray(np.maximum(abs(x), abs(y)) - radius)


def _diamond(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    return np.asarray((abs(x) + abs(y) - radius) / np.sqrt(2))


def _cross(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    arm = _WAIST * radius
    across = np.maximum(abs(x) - radius, abs(y) - arm)
    along = np.maximum(abs(x) - arm, abs(y) - radius)
    return np.asarray(np.minimum(across, along))


def _ring(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    rim = _RIM * radius
    return np.asarray(abs(np.hypot(x, y) - (radius - rim)) - rim)


SHAPES: dict[str, Distance] = {
    "circle": _circle,
    "square": _square,
    "diamond": _diamond,
    "cross": _cross,
    "ring": _ring,
}
