"""Generated sensor clips: what each event is, by a reading of its own; and the seed."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.data.labelled.sensor_events import EVENTS, sensor_events
from edgernn.errors import UsageError


def test_every_event_is_there_and_clips_are_as_they_are_told() -> None:
    clips = sensor_events("train", 200)
    assert set(clips.labels) == set(EVENTS)
    assert {len(clip) for clip in clips.frames} <= set(range(48, 97))
    assert clips.width == 6 and {clip.dtype for clip in clips.frames} == {np.dtype("float32")}


def test_turns_differ_by_their_way_and_taps_by_their_number() -> None:
    clips = sensor_events("validation", 300)
    turned = {name: list[float]() for name in EVENTS}
    peaks = {name: list[float]() for name in EVENTS}
    for clip, name in zip(clips.frames, clips.labels, strict=True):
        turned[name].append(float(clip[:, 5].sum()) / 50)  # radians
        z = clip[:, 2] - np.median(clip[:, 2])
        peaks[name].append(float(z[z > 0.4].sum()))
    assert np.mean(turned["turn_left"]) > 0.2 and np.mean(turned["turn_right"]) < -0.2
    assert abs(np.mean(turned["still"])) < 0.05
    assert np.mean(peaks["double_tap"]) > 1.5 * np.mean(peaks["tap"]) > 5 * np.mean(peaks["still"])


def test_the_seed_decides() -> None:
    first, again = sensor_events("train", 3, seed=1), sensor_events("train", 5, seed=1)
    np.testing.assert_array_equal(first.frames[2], again.frames[2])
    assert not np.array_equal(first.frames[0], sensor_events("train", 1, seed=2).frames[0])


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match="no split 'test' of clips"):
        sensor_events("test", 1)
    with pytest.raises(UsageError, match="0 clips"):
        sensor_events("train", 0)
