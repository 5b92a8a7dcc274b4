"""The built-in clips: a shape of a colour before a background, what happens to it in each frame
told by ``motions``.

A clip depends on its split, its number and the seed alone, so no clip is kept anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.data.clips.motions import EVENTS, SIZE, make_motion
from edgernn.data.clips.shapes import SHAPES, coverage
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

CHANNELS = 3
FRAMES = 24  # of a clip unless told otherwise
SPLITS = {"train": 3000, "validation": 400}  # how many clips each has unless told otherwise
_APART = 110.0  # how far a shape's colour is from the background's, at least
_NOISE = 5.0  # standard deviation of what is added to each pixel of each frame, of 255
_SLOPE = 40.0  # how much the background changes over the picture, at most


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames with what happens in each.

    Attributes:
        frames: uint8 ``[T, S, S, 3]``, RGB.
        events: int64 ``[T]``, places in ``EVENTS``.
        seen: bool ``[T]``, whether the shape is in sight.
    """

    frames: np.ndarray
    events: np.ndarray
    seen: np.ndarray


def make_clip(split: str, index: int, *, frames: int = FRAMES, seed: int = 0) -> Clip:
    """Make one clip of a split; the same arguments give the same clip, whatever was made before.

    Args:
        split: a key of ``SPLITS``.
        index: which clip, 0 or more; it may go beyond the split's default count.
        frames: T, how many it has.
        seed: of all clips, 0 or more.

    Raises:
        UsageError: there is no such split, or a number is too small.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r} of clips; {expected_one_of(split, SPLITS)}")
    if index < 0 or seed < 0 or frames < 1:
        raise UsageError(
            f"there is no clip {index} of {frames} frames and seed {seed}; give numbers of 0 or "
            "more, and a frame at least"
        )
    rng = np.random.default_rng([seed, list(SPLITS).index(split), index])
    places, events = make_motion(frames, rng)
    shape = list(SHAPES)[rng.integers(len(SHAPES))]
    behind, paint = _colours(rng)
    drawn = np.repeat(behind[None], frames, 0)  # [T, S, S, 3]
    for at, place in enumerate(places):
        if place.seen:
            share = coverage(shape, (place.x, place.y), place.radius, SIZE)[..., None]
            drawn[at] += share * (paint - drawn[at])
    drawn += rng.normal(0, _NOISE, drawn.shape)
    return Clip(
        np.clip(drawn.round(), 0, 255).astype(np.uint8),
        np.array(events, np.int64),
        np.array([place.seen for place in places]),
    )


def make_clips(
    split: str, count: int, *, frames: int = FRAMES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first ``count`` clips of a split: uint8 ``[N, T, S, S, 3]`` and their events,
    int64 ``[N, T]``.

    Raises:
        UsageError: as for ``make_clip``.
    """
    clips = [make_clip(split, index, frames=frames, seed=seed) for index in range(count)]
    return np.stack([clip.frames for clip in clips]), np.stack([clip.events for clip in clips])


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a background, float64 ``[S, S, 3]``, and a colour ``[3]`` that stands out from it."""
    while True:
        plain, paint = rng.uniform(0, 256, (2, CHANNELS))
        if np.abs(plain - paint).max() >= _APART:
            break
    slopes = rng.uniform(-_SLOPE, _SLOPE, (2, CHANNELS))
    line = np.linspace(-0.5, 0.5, SIZE)
    ramp = line[:, None, None] * slopes[0] + line[None, :, None] * slopes[1]
    return np.clip(plain + ramp, 0, 255), paint


__all__ = ["CHANNELS", "EVENTS", "FRAMES", "SIZE", "SPLITS", "Clip", "make_clip", "make_clips"]
