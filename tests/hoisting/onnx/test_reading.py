"""What is refused of a foreign file before the onnx package reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from foreign_files import FEATURES, FLOAT, cell_file, graph_file, value
from onnx import helper

from edgernn.errors import ContractError, EdgernnError, UsageError
from edgernn.hoisting.onnx.reading import read_foreign
from edgernn.hoisting.onnx.step import read_step

SHAPE = ["batch", FEATURES]


def test_an_operator_of_somebody_else_is_named(tmp_path: Path) -> None:
    nodes = [helper.make_node("Swirl", ["x"], ["y"], domain="com.example")]
    path = graph_file(
        tmp_path / "f.onnx", nodes, [value("x", FLOAT, SHAPE)], [value("y", FLOAT, SHAPE)],
        domains=["com.example"],
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"the operator Swirl of the domain 'com.example'"):
        read_foreign(path)


def test_weights_in_another_file_are_told_how_to_join(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    model_proto = onnx.load(str(path))
    onnx.save(model_proto, str(path), save_as_external_data=True, size_threshold=0)
    with pytest.raises(UsageError, match=r"in another file.*save it as one file"):
        read_foreign(path)


def test_functions_are_told_how_to_write_out(tmp_path: Path) -> None:
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="local")]
    path = graph_file(
        tmp_path / "f.onnx", nodes, [value("x", FLOAT, SHAPE)], [value("y", FLOAT, SHAPE)],
        domains=["local"],
    )  # fmt: skip
    model_proto = onnx.load(str(path))
    inner = [helper.make_node("Add", ["a", "a"], ["b"])]
    model_proto.functions.append(
        helper.make_function("local", "Twice", ["a"], ["b"], inner, [helper.make_opsetid("", 17)])
    )
    onnx.save(model_proto, str(path))
    with pytest.raises(UsageError, match="inline_local_functions"):
        read_foreign(path)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    text = tmp_path / "f.onnx"
    text.write_text("hello")
    array = tmp_path / "a.npz"
    np.savez(array, x=np.zeros(3))
    for path in (text, array, tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(EdgernnError, match="expected an ONNX model"):
            read_foreign(path)


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["h", "c"], ["hn", "cn"])
    content = path.read_bytes()
    for length in range(8, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises((UsageError, ContractError)):
            read_step(path)


def test_random_numbers_are_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"], name="noisy"),
        helper.make_node("Add", ["x", "noise"], ["y"]),
    ]
    path = graph_file(
        tmp_path / "f.onnx", nodes, [value("x", FLOAT, SHAPE)], [value("y", FLOAT, SHAPE)]
    )
    with pytest.raises(UsageError, match=r"draws random numbers in RandomNormalLike \(noisy\)"):
        read_foreign(path)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = cell_file(tmp_path / "f.onnx", ["hidden", "c"], ["hidden_out", "cn"])
    path.write_bytes(path.read_bytes().replace(b"hidden_out", b"hidden\xedout"))
    with pytest.raises(UsageError, match="a name that is not UTF-8"):
        read_foreign(path)
