"""Each operator of the table in torch's own, against onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from foreign_files import weights
from onnx import TensorProto, helper, numpy_helper

from edgernn.errors import UsageError
from edgernn.hoisting.onnx.running import Runner
from edgernn.hoisting.onnx.torch_step.module import KNOWN, TorchStep

random = np.random.default_rng(0)
X = random.standard_normal((2, 3, 4)).astype(np.float32)
POSITIVE = np.abs(X) + 0.1
Y = random.standard_normal((2, 3, 4)).astype(np.float32)
FLAGS = X > 0
IMAGE = random.standard_normal((2, 4, 6, 5)).astype(np.float32)
SIGNAL = random.standard_normal((2, 4, 9)).astype(np.float32)
INTS = np.array([3, -7, 8])


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


Case = tuple[str, list[np.ndarray | None], list[np.ndarray | None], dict[str, Any]]
UNARY = """
Abs Neg Exp Sigmoid Tanh Relu Erf Sin Cos Floor Ceil Round Sign Softplus Softsign HardSwish Selu
Identity Dropout LeakyRelu Elu HardSigmoid Shape
"""
CASES: list[Case] = [  # operator, what goes in, constants after it, attributes
    *((name, [X], [], {}) for name in UNARY.split()),
    *((name, [POSITIVE], [], {}) for name in ("Log", "Sqrt", "Reciprocal")),
    *((name, [X, Y], [], {}) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum")),
    *((n, [X, Y], [], {}) for n in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Equal")),
    *((name, [FLAGS, Y > 0], [], {}) for name in ("And", "Or")),
    ("Not", [FLAGS], [], {}),
    ("Mish", [X], [], {}),
    ("Div", [INTS], [ints(2, 2, 3)], {}),
    ("Pow", [POSITIVE], [np.array(1.5, np.float32)], {}),
    ("LeakyRelu", [X], [], {"alpha": 0.3}),
    ("HardSigmoid", [X], [], {"alpha": 0.3, "beta": 0.2}),
    ("PRelu", [X], [np.array([0.1, 0.2, 0.3, 0.4], np.float32)], {}),
    ("Where", [FLAGS, X, Y], [], {}),
    ("Clip", [X], [np.array(-0.5, np.float32), np.array(0.5, np.float32)], {}),
    ("Clip", [X], [None, np.array(0.5, np.float32)], {}),
    ("Cast", [X], [], {"to": TensorProto.INT32}),
    ("Softmax", [X], [], {"axis": 1}),
    ("LogSoftmax", [X], [], {}),
    ("ReduceSum", [X], [ints(1, 2)], {"keepdims": 0}),
    ("ReduceSum", [X], [], {}),
    *((f"Reduce{name}", [X], [], {"axes": [1]}) for name in ("Mean", "SumSquare", "L1", "L2")),
    *((f"Reduce{name}", [X], [], {"axes": [0, 2], "keepdims": 0}) for name in ("Max", "Min")),
    ("BatchNormalization", [X], [*(POSITIVE[0, :, i].copy() for i in range(4))], {"epsilon": 0.01}),
    ("LayerNormalization", [X], [Y[0, 0].copy(), Y[0, 1].copy()], {"axis": -1}),
    ("LayerNormalization", [X], [Y[0].copy()], {"axis": 1}),
    ("InstanceNormalization", [SIGNAL], [Y[0, 0].copy(), Y[0, 1].copy()], {}),
    ("Einsum", [X, Y], [], {"equation": "bij,bkj->bik"}),
    ("ArgMax", [X], [], {"axis": 2, "keepdims": 0}),
    ("ArgMin", [X], [], {"axis": 1}),
    ("CumSum", [X], [np.array(1)], {}),
    ("Reshape", [X], [ints(0, -1)], {}),
    ("Reshape", [X], [ints(4, 6)], {}),
    ("Squeeze", [X[:, :1]], [ints(1)], {}),
    ("Squeeze", [X[:1, :1]], [], {}),
    ("Unsqueeze", [X], [ints(0, -1)], {}),
    ("Transpose", [X], [], {"perm": [2, 0, 1]}),
    ("Transpose", [X], [], {}),
    *(("Flatten", [X], [], {"axis": axis}) for axis in (0, 1, 2, -1)),
    ("Slice", [X], [ints(1), ints(3), ints(2), ints(1)], {}),
    ("Slice", [X], [ints(-1), ints(-100), ints(1), ints(-1)], {}),
    ("Slice", [X], [ints(0, 1), ints(np.iinfo(np.int64).max, -1), ints(0, 2)], {}),
    ("Split", [X], [ints(1, 3)], {"axis": 2}),
    ("Split", [X], [], {"axis": 2}),
    ("Gather", [X], [np.array(1)], {"axis": 1}),
    ("Gather", [X], [ints(2, -1, 0)], {"axis": 1}),
    ("Gather", [X, ints(1, 0)], [], {"axis": 2}),
    ("GatherElements", [X], [np.zeros((2, 1, 4), np.int64)], {"axis": 1}),
    ("Expand", [X[:, :1]], [ints(2, 3, 1)], {}),
    ("Tile", [X], [ints(1, 2, 1)], {}),
    *(("Pad", [X], [ints(0, 0, 1, 0, 0, 2)], {"mode": mode}) for mode in ("reflect", "edge")),
    ("Pad", [X], [ints(0, 1, 1, 0, 0, 2), np.array(7, np.float32)], {}),
    ("Pad", [X], [ints(0, 1, 0, 0, 1, 0)], {"mode": "reflect"}),
    ("Concat", [X, Y], [], {"axis": -2}),
    ("ScatterND", [X], [np.array([[1], [0]]), Y], {}),
    ("ScatterND", [X], [np.array([[-1]]), Y[:1]], {}),
    ("ConstantOfShape", [], [ints(2, 3)], {}),
    ("MatMul", [X], [weights(random, 4, 5)], {}),
    ("MatMul", [X, np.swapaxes(Y, 1, 2).copy()], [], {}),
    ("Gemm", [X[0]], [weights(random, 4, 5), weights(random, 5)], {}),
    ("Gemm", [X[0]], [weights(random, 5, 4), weights(random, 1, 5)], {"transB": 1}),
    ("Conv", [SIGNAL], [weights(random, 6, 4, 3), weights(random, 6)], {"pads": [2, 0]}),
    ("Conv", [SIGNAL], [weights(random, 6, 2, 3)], {"group": 2, "dilations": [2], "strides": [2]}),
    ("Conv", [IMAGE], [weights(random, 3, 4, 3, 2)], {"pads": [1, 0, 1, 1], "strides": [2, 1]}),
    ("ConvTranspose", [SIGNAL], [weights(random, 4, 2, 3)], {"strides": [2], "pads": [1, 1]}),
    ("ConvTranspose", [IMAGE], [weights(random, 4, 2, 3, 3), weights(random, 2)], {}),
]


def recurrent_case(op: str, ways: int, **more: Any) -> Case:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    start = [weights(random, ways, 3, 5) for _ in range(2 if op == "LSTM" else 1)]
    direction = more.pop("direction", "bidirectional" if ways == 2 else "forward")
    held = [weights(random, ways, gates * 5, 4), weights(random, ways, gates * 5, 5)]
    bias = [] if more.pop("bare", False) else [weights(random, ways, 2 * gates * 5), None, *start]
    return op, [X], [*held, *bias], {"hidden_size": 5, "direction": direction, **more}


CASES += [
    *(recurrent_case(op, ways) for op in ("LSTM", "GRU", "RNN") for ways in (1, 2)),
    *(recurrent_case(op, 1, bare=True) for op in ("LSTM", "GRU", "RNN")),
    recurrent_case("GRU", 2, linear_before_reset=1),
    recurrent_case("LSTM", 1, direction="reverse"),
    recurrent_case("RNN", 1, activations=["Relu"]),
    recurrent_case("LSTM", 2, activations=["Sigmoid", "Relu", "Tanh"] * 2),
]


def model_of(case: Case) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    op, given, constants, attributes = case
    feeds = {f"in{at}": array for at, array in enumerate(given) if array is not None}
    held = {f"held{at}": array for at, array in enumerate(constants) if array is not None}
    names = [*feeds, *(f"held{at}" if a is not None else "" for at, a in enumerate(constants))]
    count = {"LSTM": 3, "GRU": 2, "RNN": 2, "Split": 2}.get(op, 1)
    outputs = [f"out{at}" for at in range(count)]
    node = helper.make_node(op, names, outputs, **attributes)
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feeds.items()}
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(n, kinds[n], feeds[n].shape) for n in feeds],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    opset = 18 if op in {"Mish"} else 17
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9
    ), feeds


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_an_operator_computes_what_onnxruntime_does(case: Case) -> None:
    model_proto, feeds = model_of(case)
    wanted = Runner(model_proto)(feeds)
    with torch.no_grad():
        found = TorchStep(model_proto)(*(torch.from_numpy(a) for a in feeds.values()))
    for name, made in zip(wanted, found, strict=True):
        assert made.numpy().dtype == wanted[name].dtype
        assert made.shape == wanted[name].shape
        assert np.allclose(made.numpy(), wanted[name], atol=1e-5), name


def test_every_operator_of_the_table_is_tried() -> None:
    newer = {"Gelu"}  # of opset 20
    assert {case[0] for case in CASES} | newer == KNOWN


REFUSED: list[tuple[Case, str]] = [
    (("Celu", [X], [], {}), "is no operator that is known here"),
    (recurrent_case("LSTM", 1, clip=1.0), "has clip"),
    (recurrent_case("RNN", 1, activations=["Elu"]), "has the activation elu"),
    (("Conv", [SIGNAL], [weights(random, 6, 4, 3)], {"auto_pad": "SAME_UPPER"}), "pads by SAME"),
    (("Gemm", [X[0]], [weights(random, 4, 3), weights(random, 3, 3)], {}), "no bias"),
    (("ScatterND", [X], [np.array([[0, 1]]), Y[0, :1]], {}), "puts elements"),
    (("Gemm", [X[0], Y[0].T.copy()], [], {}), "weights that are computed"),
]


@pytest.mark.parametrize(("case", "words"), REFUSED, ids=lambda value: str(value[0])[:6])
def test_what_has_no_translation_is_named(case: Case, words: str, tmp_path: Path) -> None:
    model_proto, feeds = model_of(case)
    with pytest.raises(UsageError, match=rf"{case[0]} \(out0\) .*{words}"):
        TorchStep(model_proto)(*map(torch.from_numpy, feeds.values()))
