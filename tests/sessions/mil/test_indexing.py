"""Gathers and scatters called by hand; as saved in programs they stand in ``test_movement``."""

from __future__ import annotations

import numpy as np

from edgernn.sessions.mil.indexing import gather, gather_nd, scatter_along_axis


def test_gathers_keep_rows_of_the_batch_apart() -> None:
    random = np.random.default_rng(0)
    x, places = random.normal(size=(2, 3, 4, 5)), random.integers(0, 4, (2, 3, 2))
    deep = gather(x, places, axis=2, batch_dims=2)
    assert (deep == np.take_along_axis(x, places[..., None], 2)).all()
    rows = gather_nd(x, places[:, :, :1] % 3, batch_dims=1)
    assert (rows == np.stack([x[0][places[0, :, 0] % 3], x[1][places[1, :, 0] % 3]])).all()


def test_scatter_along_axis_keeps_its_input() -> None:
    data = np.zeros((2, 3))
    changed = scatter_along_axis(
        data, np.array([[0, 0], [2, 1]]), np.array([[1.0, 2], [3, 4]]), np.array(1), "add"
    )
    assert (changed == [[3, 0, 0], [0, 4, 3]]).all()
    assert not data.any()
