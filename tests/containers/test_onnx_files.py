"""The initialisers of ONNX files, written by the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgernn.containers.reading import read
from edgernn.errors import DataError


def model(*initialisers: onnx.TensorProto) -> onnx.ModelProto:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in "xy")
    node = helper.make_node("Identity", ["x"], ["y"])
    return helper.make_model(helper.make_graph([node], "g", [x], [y], list(initialisers)))


def test_initialisers_by_name(tmp_path: Path) -> None:
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    brain = helper.make_tensor("brain", TensorProto.BFLOAT16, [2], [1.5, -2.0])
    typed = helper.make_tensor("typed", TensorProto.INT64, [2], [3, -4])
    text = helper.make_tensor("text", TensorProto.STRING, [1], [b"word"])
    made = model(numpy_helper.from_array(weight, "weight"), brain, typed, text)
    (tmp_path / "net.bin").write_bytes(made.SerializeToString())
    content = read(tmp_path / "net.bin")
    np.testing.assert_array_equal(content.tree["weight"], weight)
    np.testing.assert_array_equal(content.tree["brain"], np.float32([1.5, -2.0]))
    np.testing.assert_array_equal(content.tree["typed"], [3, -4])
    assert "text" not in content.tree and "left out: text" in content.told[1]
    assert "edgernn export" in content.told[0]


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    made = model(numpy_helper.from_array(np.zeros(2000, np.float32), "weight"))
    path = tmp_path / "net.onnx"
    onnx.save(made, path, save_as_external_data=True, location="net.data")
    with pytest.raises(DataError, match=r"'weight' …\) that lie in another file; join them"):
        read(path)


def test_sizes_that_the_data_do_not_have_are_refused(tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.dims[0] = 1 << 40
    (tmp_path / "net.onnx").write_bytes(model(tensor).SerializeToString())
    with pytest.raises(DataError, match="is damaged"):
        read(tmp_path / "net.onnx")


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    raw = model(numpy_helper.from_array(np.ones(4, np.float32), "w")).SerializeToString()
    for length in range(1, len(raw)):
        (tmp_path / "cut").write_bytes(raw[:length])
        try:
            content = read(tmp_path / "cut")
        except DataError:
            continue
        assert content.tree.keys() <= {"w"}  # cut off between two fields
