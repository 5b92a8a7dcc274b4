"""Shapes with open axes: what holds at every size is let through, and what holds at one alone is
refused.
"""

from __future__ import annotations

import numpy as np
import pytest

from edgernn.parity.structure import shape_moves
from edgernn.parity.structure import shape_rules as rules
from edgernn.parity.structure.sizes import (
    ONE,
    Dims,
    MixedError,
    Size,
    SizeError,
    StatePart,
    UnknownError,
    Value,
    broadcast,
    closed,
    dim,
    joined,
    known,
    reshaped,
    shown,
    size_of,
)

B, T = dim("batch"), dim("time")


def dims(*sizes: int | str) -> Dims:
    return tuple(map(dim, sizes))


def test_broadcast_meets_the_same_axis_or_one_element() -> None:
    assert broadcast([dims("batch", "time", 8), dims(1, 8), dims(8)]) == dims("batch", "time", 8)
    for other in (dims("time", 8), dims(64, 8)):
        with pytest.raises(SizeError, match="fit at one size alone"):
            broadcast([dims("batch", 8), other])


@pytest.mark.parametrize(
    ("before", "targets", "after"),
    [
        (dims("batch", 16), [-1, 2, 8], dims("batch", 2, 8)),
        (dims("batch", "time", 6), [-1, 6], (("batch", "time"), (6,))),
        (((("batch", "time")), (6,)), [Size(B), -1, 6], dims("batch", "time", 6)),
        (dims("batch", 4, 3), [Size(B), 12], dims("batch", 12)),
        (dims("batch", 12), [Size(B), -1, 3], dims("batch", 4, 3)),
        (dims(2, "batch", 1), [2, Size(B)], dims(2, "batch")),
    ],
)
def test_reshapes_that_hold_at_every_size(before: Dims, targets: list[object], after: Dims) -> None:
    assert reshaped(before, targets) == after


@pytest.mark.parametrize(
    ("before", "targets"),
    [
        (dims("time", "batch", 6), [Size(B), Size(T), 6]),  # another order
        (dims("batch", 6), [4, -1, 3]),  # a batch of the example
        (dims("batch", 6), [Size(B), 4]),
        (dims("batch", 6), [-1, 4]),
        (dims("batch", "time"), [Size(B)]),
    ],
)
def test_reshapes_that_hold_at_one_size_alone(before: Dims, targets: list[object]) -> None:
    with pytest.raises(SizeError, match="one size alone"):
        reshaped(before, targets)


def test_sizes_are_followed_through_arithmetic() -> None:
    sizes = shape_moves.shape_of(Value(dims("batch", 2, 4)))
    assert list(rules.elementwise([sizes, known(1)], rules.times, "Mul").known) == [Size(B), 2, 4]  # type: ignore[arg-type]
    assert rules.elementwise([sizes, known(-1)], rules.equal, "Equal").known.tolist() == [False] * 3  # type: ignore[union-attr]
    assert size_of(joined([T, B, (8,)])) == Size(("time", "batch", 8))
    for fold in (rules.equal, rules.above, lambda left, right: left - right):
        with pytest.raises(SizeError):
            rules.elementwise([sizes, known(90)], fold, "it")
    with pytest.raises(SizeError, match="computes with the size of an axis"):
        rules.elementwise(
            [shape_moves.take(sizes, known(0), 0, "Gather"), Value(dims("batch"))],
            rules.times,
            "Mul",
        )


@pytest.mark.parametrize(
    "mix",
    [
        lambda value: rules.reduce(value, [1], "ReduceMean", keep=True),
        lambda value: rules.along(value, [0], "Softmax"),
        lambda value: shape_moves.cut(value, 1, 0, 64, "Slice"),
        lambda value: shape_moves.cut(value, 1, 0, 1 << 62, "Slice", step=-1),
        lambda value: shape_moves.concat([value, value], 1, "Concat"),
        lambda value: shape_moves.take(value, known([0, 1]), 0, "Gather"),
        lambda value: shape_moves.split(value, 1, [1, 1], "Split"),
        lambda value: rules.matmul(Value(dims(8, "time")), Value(dims("time", 8)), "MatMul"),
        lambda value: rules.convolve(value, [(3, 1, 1, 1, False)], None, "Conv"),
        lambda value: rules.recurrent(value, [], "LSTM", batch_axis=0, time_axis=1),
        lambda value: rules.recurrent(
            shape_moves.transpose(value, [1, 0, 2]),
            [Value(dims(1, "time", 8))],
            "GRU",
            batch_axis=1,
            time_axis=0,
        ),
    ],
)
def test_nothing_meets_along_an_open_axis(mix: object) -> None:
    with pytest.raises(SizeError):
        mix(Value(dims("batch", "time", 8)))  # type: ignore[operator]


def test_what_stays_within_a_row_and_a_step_is_let_through() -> None:
    value = Value(dims("batch", "time", 8))
    assert rules.reduce(value, [-1], "ReduceMean", keep=False).dims == dims("batch", "time")
    assert rules.matmul(value, Value(dims(8, 5)), "MatMul").dims == dims("batch", "time", 5)
    assert shape_moves.cut(value, 1, 0, 1 << 62, "Slice") is value
    assert shape_moves.transpose(value, [1, 0, 2]).dims == dims("time", "batch", 8)
    assert shape_moves.unsqueeze(value, [0, -1]).dims == (ONE, *value.dims, ONE)
    assert shape_moves.squeeze(shape_moves.unsqueeze(value, [0]), [0]).dims == value.dims
    assert rules.convolve(
        Value(dims("batch", 3, 32, 32)), [(4, 4, 0, 0, False)] * 2, 8, "Conv"
    ).dims == dims("batch", 8, 8, 8)
    assert shape_moves.expand(Value(dims(1, 8)), [Size(B), 8]).dims == dims("batch", 8)
    assert shape_moves.split(value, 2, [6, 2], "Split")[1].dims == dims("batch", "time", 2)
    assert (
        shape_moves.filled(shape_moves.shape_of(value), 0.0, "ConstantOfShape").dims == value.dims
    )
    assert shown(value.dims) == "[batch, time, 8]"


def test_constants_are_followed_as_numpy_does() -> None:
    table = known(np.arange(6).reshape(2, 3))
    assert shape_moves.take(table, known(1), 0, "Gather").known.tolist() == [3, 4, 5]  # type: ignore[union-attr]
    assert shape_moves.cut(table, 1, -1, 1 << 62, "Slice").known.tolist() == [[2], [5]]  # type: ignore[union-attr]
    assert shape_moves.concat([table, table], 0, "Concat").dims == dims(4, 3)
    assert shape_moves.reshape(table, [3, -1]).known.tolist() == [[0, 1], [2, 3], [4, 5]]  # type: ignore[union-attr]


def test_a_recurrent_layer_goes_on_from_the_contracts_state_and_leaves_it() -> None:
    h = rules.input_value("h", dims(3, "batch", 8), is_state=True)
    x = Value(dims("time", "batch", 8))
    layers = shape_moves.split(h, 0, [1, 1, 1], "Split")
    left = [rules.recurrent(x, [layer], "GRU", batch_axis=1, time_axis=0)[0] for layer in layers]
    assert shape_moves.concat(left, 0, "Concat").part == StatePart("h", 0, 3, after=True)
    assert shape_moves.concat([left[0], left[2], left[1]], 0, "Concat").part is None
    assert shape_moves.concat(left[1:], 0, "Concat").part == StatePart("h", 1, 3, after=True)
    assert shape_moves.cut(h, 0, 1, 2, "Slice").part == StatePart("h", 1, 2)
    for state in (Value(dims(1, "batch", 8)), left[0]):
        with pytest.raises(SizeError, match="does not go on from a state that the contract gives"):
            rules.recurrent(x, [state], "GRU", batch_axis=1, time_axis=0)


def test_what_lies_along_an_axis_that_encode_chooses_may_meet() -> None:
    with pytest.raises(UnknownError, match="whose size encode chooses"):
        closed((("batch",), ("source",)), [1], "a softmax")
    for axis in ("batch", "time"):
        with pytest.raises(MixedError, match="mixes what must not meet"):
            closed((("source", axis),), [0], "a softmax")
