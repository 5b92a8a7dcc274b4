"""The drawn clips: what they hold follows from the seed, and no frame tells alone what happens."""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.data.clips.drawn import CHANNELS, SIZE, SPLITS, make_clip, make_clips
from edgernn.data.clips.motions import EVENTS, LEAST, MOST, make_motion
from edgernn.data.clips.shapes import SHAPES, coverage
from edgernn.errors import UsageError

_WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def test_the_same_numbers_give_the_same_clip_and_others_another() -> None:
    one, again, other = (make_clip("train", index) for index in (3, 3, 4))
    assert np.array_equal(one.frames, again.frames)
    assert np.array_equal(one.events, again.events)
    assert not np.array_equal(one.frames, other.frames)
    assert not np.array_equal(one.frames, make_clip("train", 3, seed=1).frames)
    assert not np.array_equal(one.frames, make_clip("validation", 3).frames)
    frames, events = make_clips("validation", 2, frames=9)
    assert frames.shape == (2, 9, SIZE, SIZE, CHANNELS)
    assert frames.dtype == np.uint8
    assert events.shape == (2, 9)


def test_what_a_frame_is_called_is_what_happened_since_the_frame_before() -> None:
    for seed in range(20):
        places, events = make_motion(40, np.random.default_rng(seed))
        assert EVENTS[events[0]] == "still"
        for before, after, event in zip(places, places[1:], events[1:], strict=False):
            moved = (after.x - before.x, after.y - before.y)
            grown, name = after.radius - before.radius, EVENTS[event]
            assert (np.sign(moved) == _WAYS.get(name, (0, 0))).all()
            assert np.sign(grown) == {"grows": 1, "shrinks": -1}.get(name, 0)
            assert LEAST <= after.radius <= MOST
            assert after.radius <= min(after.x, after.y)
            assert max(after.x, after.y) <= SIZE - after.radius


def test_out_of_sight_it_goes_on_with_what_was_seen_to_begin() -> None:
    hidden = 0
    for seed in range(40):
        places, events = make_motion(24, np.random.default_rng(seed))
        for t, place in enumerate(places):
            if not place.seen:
                hidden += 1
                began = max(at for at in range(t) if places[at].seen)
                assert set(events[began : t + 1]) == {events[t]}
    assert hidden > 40


def test_a_shape_is_where_it_is_said_to_be_and_gone_when_it_is_not_seen() -> None:
    clip = next(clip for clip in (make_clip("train", n) for n in range(50)) if not clip.seen.all())
    spread = clip.frames.astype(float).std((1, 2)).max(1)  # of each frame's colours
    assert spread[clip.seen].min() > spread[~clip.seen].max()
    for shape in SHAPES:
        share = coverage(shape, (9.0, 6.0), 4.0, SIZE)
        assert share.min() == 0 and share.max() == 1
        line = np.arange(SIZE) + 0.5
        assert abs((share.sum(0) * line).sum() / share.sum() - 9.0) < 0.01
        assert abs((share.sum(1) * line).sum() / share.sum() - 6.0) < 0.01
    disc = coverage("circle", (8.0, 8.0), 4.0, SIZE).sum()
    assert abs(disc - np.pi * 16) < 1


@pytest.mark.parametrize("wrong", [{"split": "x"}, {"index": -1}, {"frames": 0}, {"seed": -1}])
def test_a_clip_that_there_is_not_is_told(wrong: dict[str, object]) -> None:
    given = {"split": next(iter(SPLITS)), "index": 0, **wrong}
    with pytest.raises(UsageError, match="there is no"):
        make_clip(given.pop("split"), given.pop("index"), **given)  # type: ignore[arg-type]
