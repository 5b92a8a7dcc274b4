"""An ONNX file that needs more than itself and onnxruntime is refused before onnxruntime sees it,
wherever it asks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.errors import ContractError
from edgernn.sessions.ort.in_graph import OrtGenerator
from edgernn.sessions.ort.runtime import open_runtime

node = helper.make_node
ADD = node("Add", ["x", "w"], ["y"])
Make = Callable[[], onnx.ModelProto]


def model(
    *nodes: onnx.NodeProto,
    constants: tuple[onnx.TensorProto, ...] = (),
    domain: str = "",
    **more: object,
) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    sparse = more.pop("sparse", [])
    graph = helper.make_graph(
        list(nodes), "graph", [x], [y], list(constants), sparse_initializer=sparse
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    made = helper.make_model(graph, opset_imports=opsets, **more)
    made.ir_version = 9
    return made


def weight(name: str = "w") -> onnx.TensorProto:
    return numpy_helper.from_array(np.ones(2, np.float32), name)


def elsewhere(name: str = "w") -> onnx.TensorProto:
    """A constant whose values lie in ``w.bin`` beside the file."""
    tensor = weight(name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="w.bin")
    return tensor


def half_elsewhere() -> onnx.TensorProto:
    """A constant that says where else its values lie, but not that they do."""
    tensor = elsewhere()
    tensor.ClearField("data_location")
    return tensor


def in_a_branch(inner: onnx.NodeProto, *constants: onnx.TensorProto) -> onnx.ModelProto:
    out = [helper.make_tensor_value_info("o", TensorProto.FLOAT, [2])]
    then = helper.make_graph([inner], "then", [], out, list(constants))
    otherwise = helper.make_graph([node("Identity", ["x"], ["o"])], "else", [], out)
    condition = numpy_helper.from_array(np.array(True), "c")
    return model(
        node("If", ["c"], ["y"], then_branch=then, else_branch=otherwise),
        constants=(condition,),
        domain="own",
    )


def sparse() -> onnx.SparseTensorProto:
    return helper.make_sparse_tensor(
        weight("w"), numpy_helper.from_array(np.arange(2), "places"), [2]
    )


CASES: dict[str, tuple[Make, str]] = {
    "a weight elsewhere": (
        lambda: model(ADD, constants=(elsewhere(),)),
        "the constant 'w' in another file",
    ),
    "a weight half elsewhere": (
        lambda: model(ADD, constants=(half_elsewhere(),)),
        "the constant 'w' in another file",
    ),
    "a constant elsewhere": (
        lambda: model(node("Constant", [], ["w"], value=elsewhere()), ADD),
        "the constant 'w' in another file",
    ),
    "a weight of a branch elsewhere": (
        lambda: in_a_branch(node("Add", ["x", "w2"], ["o"]), elsewhere("w2")),
        "the constant 'w2' in another file",
    ),
    "an operator of a branch": (
        lambda: in_a_branch(node("Own", ["x"], ["o"], domain="own")),
        "Own of the domain 'own'",
    ),
    "an operator of somebody's": (
        lambda: model(node("Own", ["x"], ["y"], domain="own"), domain="own"),
        "domain 'own'",
    ),
    "classical learning": (
        lambda: model(
            node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", scale=[1.0]), domain="ai.onnx.ml"
        ),
        "Scaler of the domain 'ai.onnx.ml'",
    ),
    "another operator of onnxruntime": (
        lambda: model(node("Gelu", ["x"], ["y"], domain="com.microsoft"), domain="com.microsoft"),
        "Gelu of the domain 'com.microsoft'",
    ),
    "a function of its own": (
        lambda: model(
            node("Own", ["x"], ["y"], domain="own"),
            domain="own",
            functions=[
                helper.make_function(
                    "own",
                    "Own",
                    ["a"],
                    ["b"],
                    [node("Relu", ["a"], ["b"])],
                    [helper.make_opsetid("", 17)],
                )
            ],
        ),
        "brings 1 functions",
    ),
    "a sparse weight": (lambda: model(ADD, sparse=[sparse()]), "1 sparse constants"),
    "a sparse constant": (
        lambda: model(node("Constant", [], ["w"], sparse_value=sparse()), ADD),
        "a sparse constant in Constant",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_needs_more_than_itself_is_refused(name: str, tmp_path: Path) -> None:
    make, told = CASES[name]
    path = tmp_path / "step.onnx"
    path.write_bytes(make().SerializeToString())
    (tmp_path / "w.bin").write_bytes(np.ones(2, np.float32).tobytes())
    for opened in (lambda: open_runtime(path), lambda: OrtGenerator.describe(path)):
        with pytest.raises(ContractError, match=told) as caught:
            opened()
        assert "\n" not in str(caught.value)


def test_two_graphs_in_one_file_are_refused(tmp_path: Path) -> None:
    """Readers join them, so what one reader sees could be another graph than what runs."""
    content = model(ADD, constants=(weight(),)).SerializeToString()
    (tmp_path / "step.onnx").write_bytes(content + content)
    with pytest.raises(ContractError, match="has 2 graphs, expected one"):
        open_runtime(tmp_path / "step.onnx")


def test_what_is_whole_is_let_in(tmp_path: Path) -> None:
    (tmp_path / "step.onnx").write_bytes(model(ADD, constants=(weight(),)).SerializeToString())
    assert open_runtime(tmp_path / "step.onnx").run(None, {"x": np.float32([1, 2])})[
        0
    ].tolist() == [2, 3]


def test_a_field_number_that_two_readers_read_differently_is_refused(tmp_path: Path) -> None:
    """onnxruntime takes such a field for the one of the lowest 32 bits: here a function."""
    content = model(ADD, constants=(weight(),)).SerializeToString()
    key = (25 << 3 | 2) | 1 << 32
    far = bytes([key >> shift & 127 | 128 for shift in (0, 7, 14, 21)] + [key >> 28, 0])
    (tmp_path / "step.onnx").write_bytes(content + far)
    with pytest.raises(ContractError, match="a field number beyond"):
        open_runtime(tmp_path / "step.onnx")
