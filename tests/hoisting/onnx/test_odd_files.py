"""Foreign files with interfaces that are rare: other dtypes, counters, tensors without a shape,
initializers among the inputs, names that a contract cannot have.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from foreign_files import (
    FEATURES,
    FLOAT,
    HIDDEN,
    INT64,
    cell_file,
    export,
    graph_file,
    value,
    weights,
)
from onnx import TensorProto, helper
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.errors import UsageError
from edgernn.export.foreign_file import export_onnx
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.step import Wishes, read_step

node = helper.make_node
SHAPE = ["batch", FEATURES]


def counting_file(path: Path) -> Path:
    """An average of all that came, with the number of frames so far among its states."""
    nodes = [
        node("Add", ["count", "one"], ["count_out"]),
        node("Add", ["total", "x"], ["total_out"]),
        node("Cast", ["count_out"], ["many"], to=FLOAT),
        node("Div", ["total_out", "many"], ["y"]),
    ]
    return graph_file(
        path,
        nodes,
        [value("x", FLOAT, SHAPE), value("count", INT64, [1]), value("total", FLOAT, SHAPE)],
        [
            value("y", FLOAT, SHAPE),
            value("count_out", INT64, [1]),
            value("total_out", FLOAT, SHAPE),
        ],
        {"one": np.array([1])},
    )


def test_a_counter_is_a_state_that_every_row_shares(tmp_path: Path) -> None:
    path = counting_file(tmp_path / "f.onnx")
    step = read_step(path)
    count, total = step.contract.step.states
    assert (count.name, count.dtype, count.axes) == ("count", "int64", ("count_width",))
    assert total.axes[0] == "batch"
    assert prove(step).worst < 1e-5
    report = verify_bundle(export_onnx(path, tmp_path / "b"), steps=24)
    assert report.passed


def test_names_that_no_contract_can_have(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["0/h:0", "c.in"], ["h next", "c.out"])
    step = read_step(path)
    assert step.renamed["c.in"] == "c_in"
    assert step.renamed["0/h:0"] == "x_0_h_0"
    assert {s.before: s.after for s in step.states} == {"0/h:0": "h next", "c.in": "c.out"}
    assert prove(step).worst < 1e-5


def test_an_input_without_a_shape_is_asked_for(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    model_proto = onnx.load(str(path))
    model_proto.graph.input[0].type.tensor_type.ClearField("shape")
    onnx.save(model_proto, str(path))
    with pytest.raises(UsageError, match=r"the input x is float32\[.*say so, as --inputs"):
        read_step(path)
    step = read_step(path, Wishes(inputs=(f"x: float32[batch, {FEATURES}]",)))
    assert prove(step).worst < 1e-5


def test_initializers_among_the_inputs(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    model_proto = onnx.load(str(path))
    for tensor in model_proto.graph.initializer:
        model_proto.graph.input.append(value(tensor.name, tensor.data_type, list(tensor.dims)))
    onnx.save(model_proto, str(path))
    step = read_step(path)
    assert [t.name for t in step.contract.step.inputs] == ["x", "h", "c"]
    assert prove(step).worst < 1e-5


def test_half_and_double_precision(tmp_path: Path) -> None:
    for kind, dtype in ((TensorProto.FLOAT16, np.float16), (TensorProto.DOUBLE, np.float64)):
        random = np.random.default_rng(0)
        nodes = [
            node("MatMul", ["x", "w"], ["a"]),
            node("MatMul", ["h", "u"], ["b"]),
            node("Add", ["a", "b"], ["s"]),
            node("Tanh", ["s"], ["h_out"]),
            node("MatMul", ["h_out", "m"], ["y"]),
        ]
        shapes = {"w": (FEATURES, HIDDEN), "u": (HIDDEN, HIDDEN), "m": (HIDDEN, 3)}
        path = graph_file(
            tmp_path / "f.onnx",
            nodes,
            [value("x", kind, SHAPE), value("h", kind, ["batch", HIDDEN])],
            [value("y", kind, ["batch", 3]), value("h_out", kind, ["batch", HIDDEN])],
            {name: weights(random, *shape).astype(dtype) for name, shape in shapes.items()},
        )
        step = read_step(path)
        assert {t.dtype for t in step.contract.step.inputs} == {np.dtype(dtype).name}
        assert prove(step).worst < 1e-5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x float32[batch, 5]", "expected NAME: DTYPE"),
        ("z: float32[batch, 5]", "no input of the file; it has x, h, c"),
        ("x: float16[batch, 5]", "the file has float32"),
        ("x: float32[batch, time, 5]", "gives x 3 axes"),
        ("x: float32[batch, ?]", "the axis '\\?' of x"),
        ("x: float32[batch, time]", "does not run on|neither|one value a call"),
    ],
)
def test_what_is_said_of_inputs_must_fit(tmp_path: Path, text: str, words: str) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    with pytest.raises(UsageError, match=words):
        prove(read_step(path, Wishes(inputs=(text,))))


def test_a_loop_is_refused_by_name(tmp_path: Path) -> None:
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["s", "s"], ["s_out"])],
        "body",
        [value("i", INT64, []), value("go", TensorProto.BOOL, []), value("s", FLOAT, SHAPE)],
        [value("go_on", TensorProto.BOOL, []), value("s_out", FLOAT, SHAPE)],
    )
    nodes = [node("Loop", ["count", "", "x"], ["y"], name="again", body=body)]
    path = graph_file(
        tmp_path / "f.onnx", nodes, [value("x", FLOAT, SHAPE)], [value("y", FLOAT, SHAPE)],
        {"count": np.array(3)},
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"Loop \(again\) repeats inside the file"):
        read_step(path)


def test_a_branch_on_data_is_refused_by_name(tmp_path: Path) -> None:
    branches = {
        f"{word}_branch": helper.make_graph(
            [node(op, ["h"], [f"{word}_h"])], word, [], [value(f"{word}_h", FLOAT, None)]
        )
        for word, op in (("then", "Tanh"), ("else", "Sigmoid"))
    }
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["loud"]),
        node("If", ["loud"], ["h_out"], name="choose", **branches),
        node("Add", ["x", "h_out"], ["y"]),
    ]
    path = graph_file(
        tmp_path / "f.onnx",
        nodes,
        [value("x", FLOAT, SHAPE), value("h", FLOAT, SHAPE)],
        [value("y", FLOAT, SHAPE), value("h_out", FLOAT, SHAPE)],
        {"zero": np.array(0, np.float32)},
    )
    with pytest.raises(UsageError, match=r"If \(choose\) branches on the values of x"):
        read_step(path)


def test_a_file_without_state_says_so(tmp_path: Path) -> None:
    path = graph_file(
        tmp_path / "f.onnx",
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", FLOAT, SHAPE)],
        [value("y", FLOAT, ["batch", 3])],
        {"w": weights(np.random.default_rng(0), FEATURES, 3)},
    )
    with pytest.raises(UsageError, match="the file has no state"):
        read_step(path)


class BakedBatch(nn.Module):
    """A network exported for one row, whose reshape takes more rows for more frames."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.GRU(FEATURES, HIDDEN)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.reshape(-1, 1, FEATURES))[0].reshape(1, -1, HIDDEN)


def test_a_batch_that_is_baked_inside_is_closed(tmp_path: Path) -> None:
    path = export(BakedBatch(), [torch.randn(1, 4, FEATURES)], tmp_path / "f.onnx", inputs=["x"],
                  outputs=["y"], axes={"x": {0: "batch", 1: "time"}})  # fmt: skip
    step = read_step(path)
    assert "batch" not in step.contract.step.fresh_inputs[0].axes
    assert any("takes one size along batch" in warning for warning in step.warnings)
    assert prove(step).worst < 1e-5
