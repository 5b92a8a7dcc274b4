"""Generated clips of a motion sensor with one event each, in noise.

A clip has 48 to 96 frames, 50 a second, of six numbers: acceleration along x, y and z in units of
gravity, and the rate of turning about x, y and z in radians a second. The device lies at an angle
of its own, and the event comes at any time. What differs between the events is their course:

    still           nothing
    tap             one short peak along z
    double_tap      two, a sixth to a third of a second apart
    shake           a swing along x, four to eight times a second
    turn_left       about z, one way, for half a second
    turn_right      about z, the other way
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgernn.data.labelled.clips import Clips
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

SPLITS = {"train": 3000, "validation": 600}
WIDTH = 6
_RATE = 50.0  # frames a second
_FEWEST, _MOST = 48, 96  # frames
_ALONG_X, _ALONG_Z, _ABOUT_Z = 0, 2, 5
_NOISE = (0.08, 0.15)  # of acceleration in gravity, of turning in radians a second


def sensor_events(split: str, count: int, *, seed: int = 0) -> Clips:
    """Return the first ``count`` clips of a split; the same arguments give the same clips.

    Raises:
        UsageError: there is no such split, or a number is out of range.
    """
    if split not in SPLITS:
        raise UsageError(f"there is no split {split!r} of clips; {expected_one_of(split, SPLITS)}")
    if count < 1 or seed < 0:
        raise UsageError(f"{count} clips of seed {seed}; expected 1 or more, and a seed from 0")
    names, place = list(EVENTS), list(SPLITS).index(split)
    frames, labels = [], []
    for index in range(count):
        rng = np.random.default_rng([seed, place, index])
        name = names[rng.integers(len(names))]
        frames.append(_clip(EVENTS[name], rng))
        labels.append(name)
    return Clips(frames, labels)


def _clip(event: _Event, rng: np.random.Generator) -> np.ndarray:
    """Return ``[T, 6]``: gravity, noise, and the event."""
    count = int(rng.integers(_FEWEST, _MOST + 1))
    gravity = rng.normal(size=3)
    clip = np.zeros((count, WIDTH))
    clip[:, :3] = gravity / np.linalg.norm(gravity)
    clip[:, :3] += rng.normal(size=(count, 3)) * _NOISE[0]
    clip[:, 3:] += rng.normal(size=(count, 3)) * _NOISE[1]
    seconds = np.arange(count) / _RATE
    begins = rng.uniform(0.1, seconds[-1] - 0.6)  # so that the whole of it is in the clip
    event(clip, seconds - begins, rng)
    return clip.astype(np.float32)


def _still(clip: np.ndarray, seconds: np.ndarray, rng: np.random.Generator) -> None:
    pass


def _tap(clip: np.ndarray, seconds: np.ndarray, rng: np.random.Generator) -> None:
    clip[:, _ALONG_Z] += rng.uniform(1.5, 3.0) * _peak(seconds, 0.08)


def _double_tap(clip: np.ndarray, seconds: np.ndarray, rng: np.random.Generator) -> None:
    apart = rng.uniform(1 / 6, 1 / 3)
    for begins in (0.0, apart):
        _tap(clip, seconds - begins, rng)


def _shake(clip: np.ndarray, seconds: np.ndarray, rng: np.random.Generator) -> None:
    swing = np.sin(2 * np.pi * rng.uniform(4, 8) * seconds)
    clip[:, _ALONG_X] += rng.uniform(0.5, 1.2) * swing * ((seconds > 0) & (seconds < 0.6))


def _turn(way: float) -> _Event:
    def turn(clip: np.ndarray, seconds: np.ndarray, rng: np.random.Generator) -> None:
        clip[:, _ABOUT_Z] += way * rng.uniform(0.6, 2.0) * _peak(seconds, 0.5)

    return turn


def _peak(seconds: np.ndarray, lasts: float) -> np.ndarray:
    """Return half a wave of height 1 that begins at 0 and lasts so many seconds."""
    inside = (seconds >= 0) & (seconds < lasts)
    return np.sin(np.pi * seconds / lasts) * inside


_Event = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]
EVENTS: dict[str, _Event] = {
    "still": _still,
    "tap": _tap,
    "double_tap": _double_tap,
    "shake": _shake,
    "turn_left": _turn(1.0),
    "turn_right": _turn(-1.0),
}
