"""Lanes over a corpus: they go on where they stopped, and are shared and put back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.errors import TrainingError
from edgernn.training.lanes import Lanes


@given(st.integers(1, 5), st.integers(1, 9), st.integers(0, 40))
def test_targets_are_the_next_tokens_and_lanes_go_on_where_they_stopped(
    batch: int, chunk: int, spare: int
) -> None:
    ids = np.arange(batch * chunk * 4 + 1 + spare)
    lanes = Lanes(ids, batch=batch, chunk=chunk, rows=range(batch))
    last = None
    for _ in range(2 * lanes.length // chunk):
        inputs, targets, starts = lanes.next()
        assert inputs.shape == targets.shape == (batch, chunk)
        assert np.array_equal(targets, inputs + 1)
        if last is not None and not starts:
            assert np.array_equal(inputs[:, 0], last + 1)
        last = inputs[:, -1]
    assert lanes.passes >= 1


def test_processes_share_the_rows_of_one_batch() -> None:
    ids = np.arange(200)
    whole = Lanes(ids, batch=4, chunk=5, rows=range(4))
    halves = [Lanes(ids, batch=4, chunk=5, rows=range(start, start + 2)) for start in (0, 2)]
    for _ in range(15):
        together = np.concatenate([half.next()[0] for half in halves])
        assert np.array_equal(whole.next()[0], together)


def test_a_position_put_back_gives_the_same_chunks() -> None:
    lanes, other = (Lanes(np.arange(300), batch=3, chunk=7, rows=range(3)) for _ in range(2))
    for _ in range(20):
        lanes.next()
    other.position = lanes.position
    for _ in range(20):
        assert np.array_equal(lanes.next()[0], other.next()[0])


def test_a_corpus_shorter_than_its_chunks_says_how_long_it_must_be() -> None:
    with pytest.raises(TrainingError, match="100 tokens; 4 rows of chunks of 16 need at least 129"):
        Lanes(np.arange(100), batch=4, chunk=16, rows=range(4))
