"""Operators as C against onnxruntime, each over sizes that no loop divides evenly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgernn.contract import FileContract
from edgernn.contract.build import build_contract
from edgernn.errors import ContractError, UsageError
from edgernn.export.to_c.generator import generate

from .conftest import Compute, contract_of, model_of, opened

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
    "LeakyRelu",
    "Reciprocal",
]
LINE = {"kernel_shape": [3], "pads": [2, 1], "strides": [2], "dilations": [1]}
PLANE = {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1], "dilations": [1, 2]}
CASES: dict[str, tuple[list[Any], dict[str, np.ndarray], dict[str, np.ndarray]]] = {
    **{op: ([node(op, ["x"], ["y"])], {"x": drawn(3, 7)}, {}) for op in POINTWISE},
    **{
        f"{op} broadcast": (
            [node(op, ["x", "b"], ["y"])],
            {"x": drawn(2, 3, 5), "b": drawn(3, 1)},
            {},
        )
        for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")
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
        for power in (1, 2, 3, 0.5, -1, -0.5)
    },
    "where": (
        [node("Greater", ["x", "b"], ["g"]), node("Where", ["g", "x", "b"], ["y"])],
        {"x": drawn(4, 5), "b": drawn(5)},
        {},
    ),
    "clip": (
        [node("Clip", ["x", "low", "high"], ["y"])],
        {"x": drawn(33)},
        {"low": np.array(-0.5, np.float32), "high": np.array(0.25, np.float32)},
    ),
    **{
        f"matrix of {rows}": (
            [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])],
            {"x": drawn(3, 7)},
            {"w": drawn(7, rows), "b": drawn(rows)},
        )
        for rows in (1, 31, 32, 33, 64, 65, 127, 130)
    },
    "joined product": (
        [
            node("Concat", ["x", "h"], ["j"], axis=1),
            node("MatMul", ["j", "w"], ["m"]),
            node("Add", ["b", "m"], ["y"]),
        ],
        {"x": drawn(1, 5), "h": drawn(1, 9)},
        {"w": drawn(14, 40), "b": drawn(40)},
    ),
    "gemm": (
        [node("Gemm", ["x", "w", "b"], ["y"], transA=1, transB=1, alpha=0.5, beta=2.0)],
        {"x": drawn(4, 3)},
        {"w": drawn(6, 4), "b": drawn(6)},
    ),
    "product of two inputs": (
        [node("MatMul", ["x", "b"], ["y"])],
        {"x": drawn(2, 3, 4), "b": drawn(2, 4, 5)},
        {},
    ),
    "product with a vector": (
        [node("MatMul", ["x", "b"], ["y"])],
        {"x": drawn(2, 3, 4), "b": drawn(4)},
        {},
    ),
    "split and join": (
        [
            node("Split", ["x", "s"], ["a", "b", "c"], axis=1),
            node("Mul", ["a", "c"], ["d"]),
            node("Concat", ["d", "b", "a"], ["y"], axis=1),
        ],
        {"x": drawn(2, 7)},
        {"s": whole(2, 3, 2)},
    ),
    "slice backwards": (
        [node("Slice", ["x", "s", "e", "a", "t"], ["y"])],
        {"x": drawn(5, 6)},
        {"s": whole(-1, 1), "e": whole(-7, 6), "a": whole(0, 1), "t": whole(-2, 2)},
    ),
    "transpose and reshape": (
        [node("Transpose", ["x"], ["t"], perm=[2, 0, 1]), node("Reshape", ["t", "s"], ["y"])],
        {"x": drawn(2, 3, 4)},
        {"s": whole(0, -1)},
    ),
    "expand": (
        [node("Expand", ["x", "s"], ["e"]), node("Neg", ["e"], ["y"])],
        {"x": drawn(3, 1)},
        {"s": whole(2, 3, 4)},
    ),
    "pad": (
        [node("Pad", ["x", "p", "v"], ["y"])],
        {"x": drawn(2, 3)},
        {"p": whole(1, 0, 0, 2), "v": np.array(7, np.float32)},
    ),
    "rows by number": (
        [node("Gather", ["t", "x"], ["y"], axis=1)],
        {"x": whole(4, -1, 0)},
        {"t": drawn(2, 5, 3)},
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
        op: ([node(op, ["x"], ["y"], axes=[0, 2], keepdims=0)], {"x": drawn(2, 3, 5)}, {})
        for op in ("ReduceMean", "ReduceMax", "ReduceMin")
    },
    "sum": (
        [node("ReduceSum", ["x", "a"], ["y"])],
        {"x": drawn(4, 5)},
        {"a": whole(-1)},
    ),
    **{
        f"{op} {axis}": ([node(op, ["x"], ["y"], axis=axis)], {"x": 30 * drawn(2, 3, 5)}, {})
        for op in ("Softmax", "LogSoftmax")
        for axis in (0, 1, -1)
    },
    "layer norm": (
        [node("LayerNormalization", ["x", "w", "b"], ["y"], axis=-1, epsilon=1e-3)],
        {"x": drawn(3, 9)},
        {"w": drawn(9), "b": drawn(9)},
    ),
    "convolution over a line": (
        [node("Conv", ["x", "w", "b"], ["y"], **LINE)],
        {"x": drawn(1, 4, 9)},
        {"w": drawn(6, 4, 3), "b": drawn(6)},
    ),
    "convolution over a plane in groups": (
        [node("Conv", ["x", "w"], ["y"], group=2, **PLANE)],
        {"x": drawn(2, 4, 7, 8)},
        {"w": drawn(6, 2, 3, 2)},
    ),
    "mean of windows": (
        [node("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])],
        {"x": drawn(1, 2, 5, 5)},
        {},
    ),
    "largest of windows": (
        [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])],
        {"x": drawn(1, 2, 6, 4)},
        {},
    ),
    "mean of all": ([node("GlobalAveragePool", ["x"], ["y"])], {"x": drawn(2, 3, 4, 5)}, {}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_onnxruntime_gives(name: str, computed: Compute) -> None:
    nodes, inputs, constants = CASES[name]
    found, wanted = computed(nodes, inputs, constants)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 3e-6 * max(1, np.abs(wanted).max())


def test_a_gate_is_one_loop_and_nothing_of_it_is_stored() -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Split", ["m", "s"], ["a", "b"], axis=1),
        node("Sigmoid", ["a"], ["g"]),
        node("Tanh", ["b"], ["v"]),
        node("Mul", ["g", "v"], ["y"]),
    ]
    contract = contract_of({"x": drawn(1, 4)}, {"y": (1, 8)})
    model = model_of(nodes, contract, {"w": drawn(4, 16), "s": whole(8, 8)})
    text = generate(model, FileContract(contract=contract)).files["step.c"].decode()
    body = text[text.index("int net_step") :]
    assert body.count("for (int i0") == 1
    assert body.count("float slot") == 1
    assert "out_y[i0] = (net_sigmoid(slot0[i0]) * net_tanh(slot0[8 + i0]));" in body


@pytest.mark.parametrize("swapped", [True, False], ids=["swapped", "a delay line"])
def test_a_state_that_is_made_of_states_is_read_before_it_is_written(swapped: bool) -> None:
    """The next state is parts of the old one: none may be overwritten while it is needed."""
    first, second = drawn(1, 3), drawn(1, 3)
    if swapped:
        nodes = [
            node("Identity", ["b"], ["a_next"]),
            node("Identity", ["a"], ["b_next"]),
            node("Add", ["a", "x"], ["y"]),
        ]
    else:
        nodes = [
            node("Slice", ["a", "one", "three", "one"], ["rest"]),
            node("Slice", ["x", "zero", "one", "one"], ["new"]),
            node("Concat", ["rest", "new"], ["a_next"], axis=1),
            node("Concat", ["new", "rest"], ["b_next"], axis=1),
            node("Add", ["a", "b"], ["y"]),
        ]
    states = {"a": first, "b": second}
    contract = contract_of({"x": drawn(1, 3)}, {"y": (1, 3)}, states)
    constants = {"zero": whole(0), "one": whole(1), "three": whole(3)}
    session = opened(model_of(nodes, contract, {} if swapped else constants), contract)
    x = drawn(1, 3)
    _, after = session.step({"x": x}, states)
    wanted = (
        (second, first)
        if swapped
        else (
            np.concatenate([first[:, 1:], x[:, :1]], 1),
            np.concatenate([x[:, :1], first[:, 1:]], 1),
        )
    )
    assert np.array_equal(after["a"], wanted[0])
    assert np.array_equal(after["b"], wanted[1])


def test_an_operator_that_it_lacks_is_refused_by_name() -> None:
    contract = contract_of({"x": drawn(3)}, {"y": (3,)})
    model = model_of([node("Atan", ["x"], ["s"]), node("Acos", ["s"], ["y"])], contract)
    with pytest.raises(ContractError, match=r"^c does not have the operator Acos, Atan"):
        generate(model, FileContract(contract=contract))


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([node("Mod", ["x", "x"], ["y"])], "Mod as it is here: it divides floats"),
        (
            [node("Cast", ["x"], ["d"], to=11), node("Cast", ["d"], ["y"], to=1)],
            "Cast as it is here: it casts to the data type 11",
        ),
        (
            [node("Pad", ["x", "p"], ["y"], mode="reflect")],
            "Pad as it is here: it pads otherwise than with a constant",
        ),
    ],
)
def test_a_use_that_it_does_not_take_is_refused_by_name(nodes: list[Any], says: str) -> None:
    contract = contract_of({"x": drawn(3)}, {"y": (3,)})
    model = model_of(nodes, contract, {"p": whole(0, 0)})
    with pytest.raises(ContractError, match=rf"^c does not take {says}"):
        generate(model, FileContract(contract=contract))


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("MatMul", ["x", "w"], ["y"])], {"w": drawn(4, 5)}),
        ([node("MatMul", ["x", "x"], ["y"])], {}),
        ([node("Concat", ["x", "w"], ["y"], axis=0)], {"w": drawn(2, 5)}),
        ([node("Add", ["x", "w"], ["y"])], {"w": drawn(2)}),
        ([node("Transpose", ["x"], ["y"], perm=[0, 0])], {}),
        ([node("Split", ["x", "w"], ["y", "z"], axis=1)], {"w": whole(2, 9)}),
        (
            [
                node("Less", ["x", "x"], ["t"]),
                node("Concat", ["t", "x"], ["j"], axis=1),
                node("MatMul", ["j", "w"], ["y"]),
            ],
            {"w": drawn(6, 3)},
        ),
        ([node("Unsqueeze", ["x", "w"], ["y"])], {"w": whole(1, 1)}),
        ([node("Squeeze", ["x", "w"], ["y"])], {"w": whole(1)}),
        ([node("Expand", ["x", "w"], ["y"])], {"w": whole(2, 7)}),
        ([node("Softmax", ["x"], ["y"], axis=5)], {}),
        ([node("Conv", ["l", "w"], ["y"])], {"l": drawn(1, 3, 9), "w": drawn(2, 4, 3)}),
    ],
)
def test_a_graph_that_reads_what_is_not_there_becomes_no_c(
    nodes: list[Any], constants: dict[str, np.ndarray]
) -> None:
    contract = contract_of({"x": drawn(2, 3)}, {"y": (2, 3)})
    model = model_of(nodes, contract, constants)
    with pytest.raises(ContractError, match=r"^(c does not take|the graph makes) ") as caught:
        generate(model, FileContract(contract=contract))
    assert "\n" not in str(caught.value)


def test_an_open_axis_is_refused_with_what_to_do() -> None:
    contract = build_contract(inputs={"x": "float32[3]"}, states={}, outputs={"y": "float32[3]"})
    model = model_of([node("Neg", ["x"], ["y"])], contract)
    open_one = build_contract(
        inputs={"x": "float32[batch, 3]"}, states={}, outputs={"y": "float32[batch, 3]"}
    )
    with pytest.raises(UsageError, match=r"^c files take fixed sizes, and x has the open axis"):
        generate(model, FileContract(contract=open_one))


def test_more_memory_than_a_stack_has_is_refused() -> None:
    nodes = [
        node("Expand", ["x", "s"], ["e"]),
        node("Transpose", ["e"], ["t"], perm=[1, 0]),
        node("Softmax", ["t"], ["p"], axis=0),
        node("ReduceSum", ["p"], ["y"], keepdims=0),
    ]
    contract = contract_of({"x": drawn(1, 2000)}, {"y": ()})
    model = model_of(nodes, contract, {"s": whole(1000, 2000)})
    with pytest.raises(ContractError, match=r"^the graph needs 8\d{6} bytes of scratch memory"):
        generate(model, FileContract(contract=contract))
