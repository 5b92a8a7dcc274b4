"""Operators as ncnn against onnxruntime, at odd sizes and at those that ncnn packs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgernn.errors import ContractError

from .conftest import Compute, Write

node = helper.make_node
_DRAW = np.random.default_rng(5)


def drawn(*shape: int) -> np.ndarray:
    return np.asarray(_DRAW.normal(size=shape), np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


POINTWISE = [
    "Neg",
    "Abs",
    "Relu",
    "Exp",
    "Tanh",
    "Sigmoid",
    "Erf",
    "Softplus",
    "HardSigmoid",
    "Elu",
    "Selu",
    "LeakyRelu",
    "Reciprocal",
    "Floor",
    "Ceil",
    "Sin",
    "Cos",
    "Atan",
]
PAIRS = ("Add", "Sub", "Mul", "Div", "Max", "Min")
LINE = {"kernel_shape": [3], "pads": [2, 1], "strides": [2], "dilations": [1]}
PLANE = {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1], "dilations": [1, 2]}
SIZES = [(3, 7), (16, 8), (4, 32), (1, 1)]
Case = tuple[list[Any], dict[str, np.ndarray], dict[str, np.ndarray]]
CASES: dict[str, Case] = {
    **{op: ([node(op, ["x"], ["y"])], {"x": drawn(3, 8)}, {}) for op in POINTWISE},
    **{
        f"{op} {left} {right}": (
            [node(op, ["x", "b"], ["y"])],
            {"x": drawn(*left), "b": drawn(*right)},
            {},
        )
        for op in PAIRS
        for left, right in (
            ((2, 3, 5), (3, 1)),
            ((16, 8), (8,)),
            ((16, 8), (16, 1)),
            ((8,), (16, 1)),
            ((4, 8, 16), (8, 16)),
            ((4, 8, 16), (4, 1, 1)),
            ((16, 1, 8), (1, 4, 8)),
            ((1, 8), (1, 1)),
            ((5, 1), (1, 6)),
        )
    },
    **{
        f"{op} number {'before' if before else 'after'}": (
            [node(op, ["b", "x"] if before else ["x", "b"], ["y"])],
            {"x": drawn(5, 8) + 3},
            {"b": np.array([2.5], np.float32)},
        )
        for op in PAIRS
        for before in (True, False)
    },
    **{
        f"{op} constant": (
            [node(op, ["x", "b"], ["y"])],
            {"x": drawn(4, 3, 8)},
            {"b": drawn(4, 1, 1) + 3},
        )
        for op in PAIRS
    },
    "log and root": (
        [
            node("Abs", ["x"], ["a"]),
            node("Log", ["a"], ["l"]),
            node("Sqrt", ["a"], ["r"]),
            node("Add", ["l", "r"], ["y"]),
        ],
        {"x": drawn(41)},
        {},
    ),
    **{
        f"power {power}": (
            [node("Abs", ["x"], ["a"]), node("Pow", ["a", "p"], ["y"])],
            {"x": drawn(9)},
            {"p": np.array(power, np.float32)},
        )
        for power in (2, 3, 0.5, -1)
    },
    "clip": (
        [node("Clip", ["x", "low", "high"], ["y"])],
        {"x": drawn(33)},
        {"low": np.array(-0.5, np.float32), "high": np.array(0.25, np.float32)},
    ),
    "clip below": (
        [node("Clip", ["x", "low"], ["y"])],
        {"x": drawn(33)},
        {"low": np.array(-0.5, np.float32)},
    ),
    **{
        f"matrix of {rows} for {many}": (
            [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])],
            {"x": drawn(many, 7)},
            {"w": drawn(7, rows), "b": drawn(rows)},
        )
        for rows in (1, 8, 31, 64, 130)
        for many in (1, 3, 8)
    },
    "matrix of a stack": (
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["y"])],
        {"x": drawn(2, 3, 16)},
        {"w": drawn(16, 8), "b": drawn(8)},
    ),
    "a product that another reads, too": (
        [
            node("MatMul", ["x", "w"], ["m"]),
            node("Add", ["m", "b"], ["a"]),
            node("Mul", ["m", "a"], ["y"]),
        ],
        {"x": drawn(1, 5)},
        {"w": drawn(5, 8), "b": drawn(8)},
    ),
    "gemm": (
        [node("Gemm", ["x", "w", "b"], ["y"], transB=1, beta=2.0)],
        {"x": drawn(4, 3)},
        {"w": drawn(6, 3), "b": drawn(6)},
    ),
    **{
        f"product of {left} and {right}": (
            [node("MatMul", ["x", "b"], ["y"])],
            {"x": drawn(*left), "b": drawn(*right)},
            {},
        )
        for left, right in (
            ((3, 4), (4, 5)),
            ((1, 1, 16), (1, 16, 8)),
            ((2, 3, 4), (2, 4, 5)),
            ((4, 16, 8), (4, 8, 16)),
            ((1, 6, 1), (1, 1, 5)),
        )
    },
    "split and join": (
        [
            node("Split", ["x", "s"], ["a", "b", "c"], axis=1),
            node("Mul", ["a", "c"], ["d"]),
            node("Concat", ["d", "b", "a"], ["y"], axis=1),
        ],
        {"x": drawn(2, 7)},
        {"s": whole(2, 3, 2)},
    ),
    "a split of which a part is not read": (
        [node("Split", ["x", "s"], ["a", "b", "c"], axis=0), node("Add", ["a", "c"], ["y"])],
        {"x": drawn(8, 16)},
        {"s": whole(2, 4, 2)},
    ),
    "rows as layers": (
        [
            node("Split", ["x", "s"], ["a", "b"], axis=0),
            node("Concat", ["b", "a"], ["y"], axis=0),
        ],
        {"x": drawn(2, 1, 8)},
        {"s": whole(1, 1)},
    ),
    "slice": (
        [node("Slice", ["x", "s", "e", "a"], ["y"])],
        {"x": drawn(5, 6, 16)},
        {"s": whole(-4, 1), "e": whole(-1, 1 << 40), "a": whole(0, 2)},
    ),
    **{
        f"transpose {order}": (
            [node("Transpose", ["x"], ["y"], perm=order)],
            {"x": drawn(4, 8, 16)},
            {},
        )
        for order in ([0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0])
    },
    "transpose and reshape": (
        [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("Reshape", ["t", "s"], ["y"])],
        {"x": drawn(6, 8)},
        {"s": whole(4, -1)},
    ),
    "a transpose that moves nothing": (
        [node("Transpose", ["x"], ["t"], perm=[1, 0, 2]), node("Tanh", ["t"], ["y"])],
        {"x": drawn(1, 3, 8)},
        {},
    ),
    "expand": (
        [node("Expand", ["x", "s"], ["e"]), node("Neg", ["e"], ["y"])],
        {"x": drawn(3, 1)},
        {"s": whole(2, 3, 8)},
    ),
    "one row": (
        [node("Gather", ["x", "i"], ["y"], axis=1)],
        {"x": drawn(2, 5, 8)},
        {"i": np.array(-2, np.int64)},
    ),
    "sizes": (
        [
            node("Shape", ["x"], ["s"]),
            node("Gather", ["s", "one"], ["n"], axis=0),
            node("Cast", ["n"], ["f"], to=1),
            node("Div", ["x", "f"], ["y"]),
        ],
        {"x": drawn(2, 5)},
        {"one": np.array(1, np.int64)},
    ),
    **{
        f"{op} {axes} {keep}": (
            [node(op, ["x"], ["y"], axes=axes, keepdims=keep)],
            {"x": drawn(2, 8, 16)},
            {},
        )
        for op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare")
        for axes, keep in (([0, 2], 0), ([1], 1), ([2], 0), ([0, 1, 2], 0))
    },
    "sum": ([node("ReduceSum", ["x", "a"], ["y"])], {"x": drawn(4, 5)}, {"a": whole(-1)}),
    **{
        f"{op} {axis} of {shape}": (
            [node(op, ["x"], ["y"], axis=axis)],
            {"x": 30 * drawn(*shape)},
            {},
        )
        for op in ("Softmax", "LogSoftmax")
        for axis, shape in ((0, (2, 3, 5)), (1, (16, 8, 4)), (-1, (8, 16)), (-1, (1, 7)))
    },
    "layer norm": (
        [node("LayerNormalization", ["x", "w", "b"], ["y"], axis=-1, epsilon=1e-3)],
        {"x": drawn(3, 16)},
        {"w": drawn(16), "b": drawn(16)},
    ),
    "convolution over a line": (
        [node("Conv", ["x", "w", "b"], ["y"], **LINE)],
        {"x": drawn(1, 4, 9)},
        {"w": drawn(6, 4, 3), "b": drawn(6)},
    ),
    "convolution of one channel": (
        [node("Conv", ["x", "w"], ["y"], **LINE)],
        {"x": drawn(1, 1, 9)},
        {"w": drawn(8, 1, 3)},
    ),
    "convolution over a plane in groups": (
        [node("Conv", ["x", "w"], ["y"], group=2, **PLANE)],
        {"x": drawn(1, 4, 7, 8)},
        {"w": drawn(6, 2, 3, 2)},
    ),
    "convolution of each channel by itself": (
        [node("Conv", ["x", "w"], ["y"], group=16, **PLANE)],
        {"x": drawn(1, 16, 7, 8)},
        {"w": drawn(16, 1, 3, 2)},
    ),
    "mean of windows": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        {"x": drawn(1, 2, 5, 5)},
        {},
    ),
    "mean of windows with the pads": (
        [
            node(
                "AveragePool",
                ["x"],
                ["y"],
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                count_include_pad=1,
            )
        ],
        {"x": drawn(1, 8, 5, 5)},
        {},
    ),
    "largest of windows": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        {"x": drawn(1, 2, 7, 5)},
        {},
    ),
    "mean of all": ([node("GlobalAveragePool", ["x"], ["y"])], {"x": drawn(1, 8, 4, 5)}, {}),
    "batch norm": (
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])],
        {"x": drawn(1, 8, 4, 5)},
        {"s": drawn(8), "b": drawn(8), "m": drawn(8), "v": drawn(8) ** 2 + 0.1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_onnxruntime_gives(name: str, computed: Compute) -> None:
    nodes, inputs, constants = CASES[name]
    found, wanted = computed(nodes, inputs, constants)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 5e-6 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize("many", [1, 3])
def test_integers_are_a_hundredth_from_floats(many: int, computed: Compute) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])]
    matrix = drawn(64, 40) * np.linspace(0.01, 5, 40, dtype=np.float32)  # rows of different sizes
    found, wanted = computed(
        nodes, {"x": drawn(many, 64)}, {"w": matrix, "b": drawn(40)}, precision="int8"
    )
    error = np.abs(found - wanted).max(0) / np.abs(matrix).max(0)
    assert 0 < error.max() < 0.2, "of a sum of 64 values"


STATES = {"LSTM": 2, "GRU": 1}


def layer_of(kind: str, **attributes: Any) -> tuple[list[Any], dict[str, np.ndarray]]:
    """A layer over three steps of five numbers, and its weights; H = 4."""
    rows = {"LSTM": 16, "GRU": 12}[kind]
    reads = ["x", "w", "r", "bias", "", "b", "c"][: 5 + STATES[kind]]
    made = [node(kind, reads, ["y"], hidden_size=4, **attributes)]
    return made, {"w": drawn(1, rows, 5), "r": drawn(1, rows, 4), "bias": drawn(1, 2 * rows)}


@pytest.mark.parametrize("kind", STATES)
def test_a_whole_layer_gives_what_onnxruntime_gives(kind: str, computed: Compute) -> None:
    nodes, constants = layer_of(kind, **({} if kind == "LSTM" else {"linear_before_reset": 1}))
    inputs = {"x": drawn(3, 1, 5), "b": drawn(1, 1, 4), "c": drawn(1, 1, 4)}
    given = dict(list(inputs.items())[: 1 + STATES[kind]])
    found, wanted = computed(nodes, given, constants)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-6


OTHER_LAYERS = {
    "resets before the product": ("GRU", {}),
    "clips": ("LSTM", {"clip": 1.0}),
    "couples its gates": ("LSTM", {"input_forget": 1}),
    "has other functions": ("LSTM", {"activations": ["Sigmoid", "Relu", "Tanh"]}),
    "runs in another direction": ("LSTM", {"direction": "reverse"}),
}


@pytest.mark.parametrize("says", OTHER_LAYERS)
def test_a_layer_that_is_not_ncnns_is_refused_by_name(says: str, written: Write) -> None:
    kind, attributes = OTHER_LAYERS[says]
    nodes, constants = layer_of(kind, **attributes)
    inputs = {"x": drawn(3, 1, 5), "b": drawn(1, 1, 4), "c": drawn(1, 1, 4)}
    given = dict(list(inputs.items())[: 1 + STATES[kind]])
    with pytest.raises(
        ContractError, match=rf"ncnn: {kind} \(y\) {says}, which ncnn's {kind} does"
    ):
        written(nodes, given, {"y": (3, 1, 1, 4)}, constants=constants)


REFUSED: dict[str, tuple[list[Any], tuple[int, ...], dict[str, np.ndarray], tuple[int, ...]]] = {
    "is none of its operators": ([node("Acosh", ["x"], ["y"])], (3,), {}, (3,)),
    "in steps of 1": (
        [node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        (6,),
        {"s": whole(0), "e": whole(6), "a": whole(0), "t": whole(2)},
        (3,),
    ),
    "is a whole recurrent layer": (
        [node("RNN", ["x", "w", "r"], ["y"], hidden_size=2, activations=["Relu"])],
        (1, 1, 3),
        {"w": drawn(1, 2, 3), "r": drawn(1, 2, 2)},
        (1, 1, 1, 2),
    ),
    "makes integers or truth values": (
        [node("Cast", ["x"], ["i"], to=7), node("Cast", ["i"], ["y"], to=1)],
        (3,),
        {},
        (3,),
    ),
    "has a batch of 2": (
        [node("Conv", ["x", "w"], ["y"])],
        (2, 3, 5),
        {"w": drawn(4, 3, 1)},
        (2, 4, 5),
    ),
    r"carries 3 axes beside those of size 1, and x is \[2, 3, 4, 5\]": (
        [node("Tanh", ["x"], ["y"])],
        (2, 3, 4, 5),
        {},
        (2, 3, 4, 5),
    ),
}


@pytest.mark.parametrize("says", REFUSED)
def test_what_ncnn_does_not_have_is_refused_by_name(says: str, written: Write) -> None:
    nodes, shape, constants, made = REFUSED[says]
    with pytest.raises(ContractError, match=says) as caught:
        written(nodes, {"x": drawn(*shape)}, {"y": made}, constants=constants)
    assert "\n" not in str(caught.value)
    assert "leave ncnn out" in str(caught.value)
    assert "3 axes" in says or f"ncnn: {nodes[0].op_type} (" in str(caught.value)
