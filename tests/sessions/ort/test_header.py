"""The head of an ONNX file, read without the onnx package."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from edgernn.errors import ContractError
from edgernn.sessions.ort.header import read_target


def test_it_reads_what_onnx_reads(bundle_folder: Path) -> None:
    assert read_target(bundle_folder / "onnx/step.onnx") == "opset 17, IR 9"


@pytest.mark.parametrize("opset", [7, 18, 200])
def test_other_opsets_and_other_domains(opset: int, tmp_path: Path) -> None:
    graph = onnx.helper.make_graph([], "g", [], [])
    sets = [onnx.helper.make_opsetid("com.example", 3), onnx.helper.make_opsetid("", opset)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=sets, ir_version=8), tmp_path / "m.onnx")
    assert read_target(tmp_path / "m.onnx") == f"opset {opset}, IR 8"


@pytest.mark.parametrize("content", [b"", b"scribble", b"\xff" * 40])
def test_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ContractError, match="no ONNX model"):
        read_target(tmp_path / "m.onnx")
