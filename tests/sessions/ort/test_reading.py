"""The reader of ONNX graphs against the onnx package, on real exports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.errors import ContractError
from edgernn.sessions.ort.graph import OnnxGraph, OnnxNode, OnnxTensor
from edgernn.sessions.ort.reading import read_model


def _same_graph(found: OnnxGraph, expected: onnx.GraphProto) -> None:
    assert [tensor.name for tensor in expected.initializer] == list(found.constants)
    for tensor in expected.initializer:
        assert np.array_equal(found.constants[tensor.name].values(), numpy_helper.to_array(tensor))
    assert list(found.inputs) == [value.name for value in expected.input]
    assert list(found.outputs) == [value.name for value in expected.output]
    for ours, theirs in zip(found.nodes, expected.node, strict=True):
        _same_node(ours, theirs)


def _same_node(ours: OnnxNode, theirs: onnx.NodeProto) -> None:
    assert (ours.op, ours.domain, ours.name) == (theirs.op_type, theirs.domain, theirs.name)
    assert (ours.inputs, ours.outputs) == (tuple(theirs.input), tuple(theirs.output))
    for attribute in theirs.attribute:
        value, found = helper.get_attribute_value(attribute), ours.attributes[attribute.name]
        if isinstance(value, onnx.GraphProto):
            _same_graph(found, value)
        elif isinstance(value, onnx.TensorProto):
            assert np.array_equal(found.values(), numpy_helper.to_array(value))
        elif isinstance(value, bytes):
            assert found == value.decode()
        elif isinstance(value, list) and value and isinstance(value[0], bytes):
            assert found == [entry.decode() for entry in value]
        else:
            assert found == value


@pytest.mark.parametrize("inner", ["onnx/encode.onnx", "onnx/step.onnx"])
def test_it_reads_what_onnx_reads(captioner_bundle_folder: Path, inner: str) -> None:
    path = captioner_bundle_folder / inner
    _same_graph(read_model(path).graph, onnx.load(path).graph)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "int32", "int64", "uint8", "bool", "float16", "uint64"]
)
@pytest.mark.parametrize("raw", [True, False])
def test_every_layout_of_a_constant(tmp_path: Path, dtype: str, *, raw: bool) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    tensor = helper.make_tensor(
        "k", kind, values.shape, values.tobytes() if raw else values.ravel().tolist(), raw=raw
    )
    graph = helper.make_graph([], "g", [], [], [tensor])
    (tmp_path / "k.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    found: OnnxTensor = read_model(tmp_path / "k.onnx").graph.constants["k"]
    assert found.dtype == dtype
    assert np.array_equal(found.values(), values)


def test_open_and_fixed_dimensions(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, None])
    (tmp_path / "k.onnx").write_bytes(
        helper.make_model(helper.make_graph([], "g", [value], [])).SerializeToString()
    )
    assert read_model(tmp_path / "k.onnx").graph.inputs == {"x": ("batch", 3, None)}


@pytest.mark.parametrize("cut", [1, 10, 1000])
def test_a_file_that_is_cut_off_is_refused(bundle_folder: Path, tmp_path: Path, cut: int) -> None:
    content = (bundle_folder / "onnx/step.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(content[:-cut])
    with pytest.raises(ContractError, match=r"cut\.onnx is not a model that onnxruntime can open"):
        read_model(tmp_path / "cut.onnx")
