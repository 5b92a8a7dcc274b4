"""More operators as C against onnxruntime: what elements are put together from, what chooses along
an axis, norms, sums over letters, and recurrent operators.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.export.operators import OPSET
from edgernn.export.to_c.generator import generate

from .conftest import Compute, contract_of, model_of

node = helper.make_node
_DRAW = np.random.default_rng(8)
Case = tuple[list[Any], dict[str, np.ndarray], dict[str, np.ndarray]]


def drawn(*shape: int) -> np.ndarray:
    return np.asarray(_DRAW.normal(size=shape) * 2, np.float32)


def whole(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


ELEMENTS = [
    "Sin", "Cos", "Tan", "Floor", "Ceil", "Round", "Sign", "Gelu", "HardSwish", "Mish", "Selu",
    "Celu", "Softsign", "ThresholdedRelu",
]  # fmt: skip
REDUCED = ["ReduceSumSquare", "ReduceL1", "ReduceL2", "ReduceLogSumExp"]


def single(op: str, *shapes: tuple[int, ...], **attributes: Any) -> Case:
    """Return a case of one operator over a drawn ``x``, and constants of shapes."""
    names = [f"c{at}" for at in range(len(shapes) - 1)]
    constants = {name: drawn(*shape) for name, shape in zip(names, shapes[1:], strict=True)}
    return [node(op, ["x", *names], ["y"], **attributes)], {"x": drawn(*shapes[0])}, constants


def as_float(op: str, given: np.ndarray, extra: dict[str, np.ndarray], **more: Any) -> Case:
    nodes = [
        node(op, ["x", *extra], ["i"], **more),
        node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
    ]
    return nodes, {"x": given}, extra


TIED = np.array([[1, 5, 5, 2], [3, 3, 1, 0], [0, -2, -2, -2]], np.float32)
CASES: dict[str, Case] = {
    **{op: single(op, (3, 7)) for op in ELEMENTS},
    **{op: single(op, (3, 4, 5), keepdims=1) for op in REDUCED},
    "gelu by tanh": single("Gelu", (3, 7), approximate="tanh"),
    "sum": single("Sum", (2, 5), (5,), (2, 1)),
    "mean": single("Mean", (2, 5), (5,), (2, 1)),
    "fmod": single("Mod", (3, 5), (3, 5), fmod=1),
    "batch norm": (
        [node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], epsilon=0.1)],
        {"x": drawn(2, 3, 5)},
        {"g": drawn(3), "b": drawn(3), "m": drawn(3), "v": np.abs(drawn(3))},
    ),
    "instance norm": single("InstanceNormalization", (2, 3, 5, 2), (3,), (3,)),
    "group norm": single("GroupNormalization", (2, 6, 5), (6,), (6,), num_groups=3),
    "argmax": as_float("ArgMax", TIED, {}, axis=1),
    "argmax, the last": as_float("ArgMax", TIED, {}, axis=1, select_last_index=1, keepdims=0),
    "argmin": as_float("ArgMin", TIED, {}, axis=0),
    "argmin, the last": as_float("ArgMin", TIED, {}, axis=-1, select_last_index=1),
    "one hot": (
        [node("OneHot", ["x", "count", "values"], ["y"], axis=1)],
        {"x": np.array([[1, 0, -1], [3, 2, 9]])},
        {"count": whole(4), "values": np.array([0.5, 2], np.float32)},
    ),
    "tile": (
        [node("Tile", ["x", "times"], ["y"])],
        {"x": drawn(2, 1, 3)},
        {"times": whole(2, 3, 2)},
    ),
    "triangle above": (
        [node("Trilu", ["x", "k"], ["y"], upper=1)],
        {"x": drawn(2, 4, 5)},
        {"k": np.array(1)},
    ),
    "triangle below": ([node("Trilu", ["x"], ["y"], upper=0)], {"x": drawn(4, 3)}, {}),
    "values of the largest": (
        [node("TopK", ["x", "k"], ["y", "places"], axis=1)],
        {"x": drawn(3, 6, 2)},
        {"k": whole(3)},
    ),
    "places of the smallest": (
        [
            node("TopK", ["x", "k"], ["values", "places"], largest=0),
            node("Cast", ["places"], ["p"], to=TensorProto.FLOAT),
            node("Add", ["p", "values"], ["y"]),
        ],
        {"x": TIED},
        {"k": whole(2)},
    ),
    **{
        f"sums up to here {exclusive} {reverse}": (
            [node("CumSum", ["x", "axis"], ["y"], exclusive=exclusive, reverse=reverse)],
            {"x": drawn(2, 4, 3)},
            {"axis": np.array(1)},
        )
        for exclusive in (0, 1)
        for reverse in (0, 1)
    },
    "transposed convolution": single("ConvTranspose", (1, 4, 5), (4, 2, 3), (4,), strides=[2],
                                     pads=[1, 0], output_padding=[1], group=2, dilations=[2],
                                     output_shape=None),
    "transposed convolution of a plane": single("ConvTranspose", (2, 3, 4, 3), (3, 2, 3, 2),
                                                strides=[2, 1]),
    "what is no number": (
        [
            node("Sqrt", ["x"], ["r"]),
            node("IsNaN", ["r"], ["n"]),
            node("Cast", ["n"], ["y"], to=TensorProto.FLOAT),
        ],
        {"x": drawn(4, 5)},
        {},
    ),
}  # fmt: skip
LATER = {"Gelu": 20, "gelu by tanh": 20, "Mish": 18, "group norm": 21}  # operator sets
LETTERS = {
    "ij,jk->ik": [(3, 4), (4, 5)],
    "bij,bkj->bik": [(2, 3, 4), (2, 5, 4)],
    "bhd,bhtd->bht": [(2, 3, 4), (2, 3, 5, 4)],
    "ij,kl->lijk": [(2, 3), (4, 2)],
    "bij,jk": [(2, 3, 4), (4, 2)],
    "ijk->ki": [(2, 3, 4)],
    "bi,bi->b": [(3, 4), (3, 4)],
}


@pytest.mark.parametrize("case", CASES)
def test_an_operator_is_that_of_onnxruntime(case: str, computed: Compute) -> None:
    found, wanted = computed(*CASES[case], opset=LATER.get(case, OPSET))
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=3e-5, atol=3e-5)


@pytest.mark.parametrize("equation", LETTERS)
def test_sums_over_letters(equation: str, computed: Compute) -> None:
    given = {name: drawn(*shape) for name, shape in zip("ab", LETTERS[equation], strict=False)}
    nodes = [node("Einsum", [*given], ["y"], equation=equation)]
    found, wanted = computed(nodes, given)
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("power", [1.7, -2.0, 5.0])
def test_powers(power: float, computed: Compute) -> None:
    x = np.abs(drawn(4, 5)) + 0.1
    x[0] *= -1 if power == round(power) else 1
    found, wanted = computed([node("Pow", ["x", "p"], ["y"])], {"x": x},
                             {"p": np.array(power, np.float32)})  # fmt: skip
    assert np.allclose(found, wanted, rtol=2e-5)


@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1)])
def test_remainders_of_whole_numbers(signs: tuple[int, int], computed: Compute) -> None:
    x, y = signs[0] * whole(7, 6, 0, 5, 9), signs[1] * whole(3, 3, 4, 1, 10)
    for fmod in (0, 1):
        nodes = [
            node("Mod", ["x", "b"], ["i"], fmod=fmod),
            node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
        ]
        found, wanted = computed(nodes, {"x": x}, {"b": y})
        assert np.array_equal(found, wanted)


GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
RECURRENT = [
    ("LSTM", {}),
    ("LSTM", {"peepholes": True}),
    ("LSTM", {"direction": "bidirectional"}),
    ("GRU", {}),
    ("GRU", {"linear_before_reset": 1, "direction": "reverse"}),
    ("RNN", {}),
    ("RNN", {"activations": ["Relu"]}),
]


@pytest.mark.parametrize("output", [0, 1, 2])
@pytest.mark.parametrize(("op", "options"), RECURRENT)
def test_recurrent_operators(
    op: str, options: dict[str, Any], output: int, computed: Compute
) -> None:
    if output == 2 and op != "LSTM":
        pytest.skip("it has one state")
    size, rows, frames, width = 5, 2, 3, 4
    both = 2 if options.get("direction") == "bidirectional" else 1
    attributes = {name: value for name, value in options.items() if name != "peepholes"}
    states = {"h": drawn(both, rows, size), "c": drawn(both, rows, size)}
    constants = {
        "w": drawn(both, GATES[op] * size, width),
        "r": drawn(both, GATES[op] * size, size),
        "b": drawn(both, 2 * GATES[op] * size),
    }
    names = ["x", "w", "r", "b", "", "h"] + (["c"] if op == "LSTM" else [])
    if options.get("peepholes"):
        constants["p"] = drawn(both, 3 * size)
        names.append("p")
    given = {name: array for name, array in states.items() if name in names}
    outputs = [*["", "", ""][:output], "y"]
    found, wanted = computed(
        [node(op, names, outputs, hidden_size=size, **attributes)],
        {"x": drawn(frames, rows, width), **given},
        constants,
    )
    assert found.shape == wanted.shape
    assert np.allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("LSTM", {"clip": 1.0}),
        ("LSTM", {"input_forget": 1}),
        ("GRU", {"activations": ["HardSigmoid", "Tanh"]}),
    ],
)
def test_another_recurrent_operator_is_refused(op: str, attributes: dict[str, Any]) -> None:
    x, rows = np.zeros((1, 1, 3), np.float32), GATES[op] * 2
    constants = {"w": drawn(1, rows, 3), "r": drawn(1, rows, 2)}
    contract = contract_of({"x": x}, {"y": (1, 1, 1, 2)})
    nodes = [node(op, ["x", "w", "r"], ["y"], hidden_size=2, **attributes)]
    with pytest.raises(ContractError, match=rf"^c does not take {op} as it is here: it has "):
        generate(model_of(nodes, contract, constants), FileContract(contract=contract))


def test_a_convolution_in_parts_holds_its_kernels_once(computed: Compute) -> None:
    x, kernels = drawn(2, 8, 40, 31), drawn(5, 8, 3, 3)
    nodes = [node("Conv", ["x", "w"], ["y"], pads=[1, 1, 0, 2], strides=[1, 2])]
    found, wanted = computed(nodes, {"x": x}, {"w": kernels})
    assert np.allclose(found, wanted, atol=1e-4)
    contract = contract_of({"x": x}, {"y": wanted.shape})
    files = generate(model_of(nodes, contract, {"w": kernels}), FileContract(contract=contract))
    assert files.files["step.c"].count(b"\n    rows_32(") > 2, "a part a call"
    assert len(files.files["step.weights.bin"]) < 4 * 32 * (8 * 9 + 1) + 256
