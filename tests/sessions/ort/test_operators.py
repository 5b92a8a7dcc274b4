"""What an ONNX file needs of a runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from edgernn.errors import ContractError  # noqa: E402
from edgernn.sessions.ort.operators import needs_of  # noqa: E402


def saved(path: Path, nodes: list, *, constants: tuple = (), batch: int | str = 1) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, batch, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], list(constants))
    onnx.save(helper.make_model(graph), path)
    return path


@pytest.mark.parametrize(
    ("node", "needs"),
    [
        (helper.make_node("RNN", list("xwr"), ["", "y"], hidden_size=4), {"RNN"}),
        (
            helper.make_node("RNN", list("xwr"), ["y"], activations=["Tanh"]),
            {"RNN"},
        ),
        (
            helper.make_node("RNN", list("xwr"), ["y"], activations=["Relu"]),
            {"RNN", "RNN with Relu"},
        ),
        (
            helper.make_node("GRU", list("xwr"), ["y"], linear_before_reset=1),
            {"GRU", "GRU with linear_before_reset"},
        ),
        (
            helper.make_node(
                "LSTM", ["x", "w", "r", "b", "s", "h", "c", "p"], ["y"],
                clip=3.0, input_forget=1, direction="reverse",
            ),
            {"LSTM", "LSTM with clip", "LSTM with input_forget", "LSTM with direction reverse",
             "LSTM with lengths", "LSTM with peepholes"},
        ),
        (
            helper.make_node("LSTM", ["x", "w", "r", "b", "", "h"], ["y"],
                             activations=["Sigmoid", "Tanh", "Tanh"] * 2,
                             direction="bidirectional"),
            {"LSTM", "LSTM with direction bidirectional"},
        ),
        (
            helper.make_node("MatMulNBits", list("xbs"), ["y"], domain="com.microsoft", bits=4),
            {"com.microsoft:MatMulNBits", "com.microsoft:MatMulNBits with 4 bits"},
        ),
    ],
)  # fmt: skip
def test_operators_and_what_is_beyond_their_defaults(
    node: object, needs: set[str], tmp_path: Path
) -> None:
    assert needs_of(saved(tmp_path / "net.onnx", [node])) == needs


def test_open_sizes_small_constants_and_what_a_loop_holds(tmp_path: Path) -> None:
    half = numpy_helper.from_array(np.ones(4, np.float16), "half")
    count, going = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("i", TensorProto.INT64), ("on", TensorProto.BOOL))
    )
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["off"]), helper.make_node("Tanh", ["x"], ["t"])],
        "body",
        [count, going],
        [
            helper.make_tensor_value_info("off", TensorProto.BOOL, []),
            helper.make_tensor_value_info("t", TensorProto.FLOAT, None),
        ],
        [half],
    )
    loop = helper.make_node("Loop", ["n", "k"], ["y"], body=body)
    assert needs_of(saved(tmp_path / "net.onnx", [loop], batch="batch")) == {
        "Loop", "Identity", "Tanh", "float16 constants", "open sizes",
    }  # fmt: skip


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no model")
    with pytest.raises(ContractError, match=r"net\.onnx is not a model"):
        needs_of(tmp_path / "net.onnx")
