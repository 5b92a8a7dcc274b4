"""Delay lines: a convolution's past in front of a call's frames, and what may be made of it."""

from __future__ import annotations

import pytest

from edgernn.contract import BATCH, TIME
from edgernn.parity.structure import shape_moves as moves
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.sizes import (
    Size,
    SizeError,
    UnknownError,
    Value,
    dim,
    past_in,
    with_past,
)

_END = 2**63 - 1
FRAMES = Value((dim(BATCH), dim(4), dim(TIME)))
PAST = rules.input_value("past", (dim(BATCH), dim(4), dim(6)), is_state=True)


def line() -> Value:
    return moves.concat([PAST, FRAMES], 2, "a concat")


def window(value: Value, reach: int, *, step: int = 1, after: int = 0) -> Value:
    return rules.convolve(value, [(reach, step, 0, after, False)], 8, "a convolution")


def test_a_window_ends_at_its_own_frame():
    assert line().dims[2] == with_past(6) and past_in(line().dims[2]) == 6
    assert window(line(), 7).dims == (dim(BATCH), dim(8), dim(TIME))
    assert window(line(), 5).dims[2] == with_past(2)


@pytest.mark.parametrize(
    ("start", "end", "left"),
    [
        (0, _END, with_past(6)),
        (6, _END, dim(TIME)),  # the call's own
        (2, -4, dim(TIME)),  # four frames late
        (0, Size(dim(TIME)), dim(TIME)),  # six frames late
        (-6, _END, dim(6)),  # what is kept
    ],
)
def test_frames_are_cut_in_their_order(start, end, left):
    assert moves.cut(line(), 2, start, end, "a slice").dims[2] == left


def test_only_the_newest_frames_of_a_line_are_its_next_state():
    kept = moves.cut(line(), 2, -6, _END, "a slice")
    assert kept.part is not None and (kept.part.state, kept.part.after) == ("past", True)
    assert moves.cut(line(), 2, -5, _END, "a slice").part is None
    assert moves.cut(window(line(), 1), 2, -6, _END, "a slice").part is None


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: window(line(), 8), SizeError),  # one frame short of the past
        (lambda: window(line(), 7, after=1), SizeError),
        (lambda: window(line(), 7, step=2), SizeError),
        (lambda: moves.cut(line(), 2, 7, _END, "a slice"), SizeError),  # a later frame
        (lambda: moves.cut(line(), 2, 0, 3, "a slice"), UnknownError),
        (lambda: moves.concat([Value(PAST.dims), FRAMES], 2, "a concat"), UnknownError),  # no state
        (lambda: moves.concat([FRAMES, PAST], 2, "a concat"), SizeError),
    ],
)
def test_what_would_see_later_frames_is_refused(made, error):
    with pytest.raises(error):
        made()
