"""Recorded inputs as a sample, however their axes lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgernn.contract.build import build_contract
from edgernn.errors import UsageError
from edgernn.hoisting.recorded import read_sample

_REST = {"states": {"h": "float32[batch, 3]"}, "outputs": {"y": "float32[batch, time, 1]"}}
WAVE = build_contract(inputs={"x": "float32[batch, width=4, time]"}, step_frames=2, **_REST)
IDS = build_contract(
    inputs={"ids": "int64[batch, time] below words=9", "dt": "float32[batch, time, one=1]"}, **_REST
)
STEP = build_contract(
    inputs={"x": "float32[batch, width=4]"},
    contexts={"seen": "float32[batch, source, 5]"},
    encode_inputs={"memory": "float32[batch, source, 5]"},
    states={"h": "float32[batch, 3]"},
    outputs={"y": "float32[batch, 1]"},
)
ROWS = np.arange(28.0).reshape(7, 4)  # [N, width]


@pytest.mark.parametrize("shape", ["as the axes say", "time first", "no row", "time first, a row"])
def test_any_order_of_axes(shape: str) -> None:
    given = {
        "as the axes say": ROWS.T[None],
        "time first": ROWS,
        "no row": ROWS.T,
        "time first, a row": ROWS[:, None],
    }[shape]
    made = read_sample({"x": given}, WAVE)["x"]
    assert made.dtype == np.float32
    assert np.array_equal(made, ROWS.T[None, :, :6]), "whole steps of two frames"


def test_several_inputs_of_any_type(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ids,dt\n1,0.5\n8,0.25\n")
    made = read_sample(tmp_path / "a.csv", IDS)
    assert made["ids"].tolist() == [[1, 8]]
    assert made["ids"].dtype == np.int64
    assert made["dt"].tolist() == [[[0.5], [0.25]]]


def test_a_step_without_time_and_what_is_given_once() -> None:
    memory = np.ones((6, 5))
    made = read_sample({"x": ROWS, "memory": memory, "more": memory}, STEP)
    assert made["x"].shape == (7, 1, 4)
    assert made["memory"].shape == (1, 6, 5)
    assert "more" not in made


@pytest.mark.parametrize(
    ("sample", "contract", "says"),
    [
        (
            {"x": np.zeros((7, 5))},
            WAVE,
            r"x of the sample is float64 \[7, 5\], expected float32 \[1, 4, N\] \(batch, width, "
            r"time\), or \[N, 4\]",
        ),
        ({"y": ROWS, "z": ROWS}, WAVE, "the sample has no x; it has y, z"),
        ({"ids": [1.5], "dt": [1.0]}, IDS, "ids of the sample is float64 with values that are no"),
        ({"ids": [9], "dt": [1.0]}, IDS, "the sample has ids with ids that are not 0 to 8"),
        ({"ids": [1, 2], "dt": [1.0]}, IDS, "the sample has frames of"),
        ({"x": np.array(["a"])}, STEP, "the sample has no memory"),
    ],
)
def test_another_sample_is_told(sample, contract, says):
    with pytest.raises(UsageError, match=says):
        read_sample(sample, contract)
