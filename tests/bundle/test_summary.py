"""What is kept of a wide output: the columns, the largest values in order, and a log-sum that stays
finite.
"""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.bundle import summary


@pytest.mark.parametrize("size", [513, 3000, 62101])
def test_columns_are_spread_from_the_first_to_the_last(size: int) -> None:
    columns = summary.spread_columns(size)
    gaps = np.diff(columns)
    assert (columns[0], columns[-1], len(columns), columns.dtype) == (0, size - 1, 256, np.int64)
    assert gaps.min() >= 1
    assert gaps.max() - gaps.min() <= 1


def test_the_largest_come_in_order_and_equal_ones_by_id() -> None:
    values = np.zeros((1, 1, 600), np.float32)
    values[0, 0, [7, 500]], values[0, 0, 3] = 2, 5
    assert summary.largest_ids(values)[0, 0, :3].tolist() == [3, 7, 500]
    drawn = np.random.default_rng(0).normal(size=(2, 1, 900)).astype(np.float32)
    wanted = np.argsort(-drawn, axis=-1, kind="stable")[..., :32]
    np.testing.assert_array_equal(summary.largest_ids(drawn), wanted)


def test_the_log_sum_stays_finite_where_exp_does_not() -> None:
    values = np.full((1, 1, 600), 5000, np.float32)
    assert summary.log_sum(values)[0, 0] == pytest.approx(5000 + np.log(600))
    assert summary.log_sum(-values)[0, 0] == pytest.approx(-5000 + np.log(600))
    assert summary.log_sum(values).dtype == np.float32
    for wrong in (np.nan, np.inf):
        values[0, 0, 4] = wrong
        assert not np.isfinite(summary.log_sum(values)).any()
