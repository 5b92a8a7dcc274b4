"""A step file of the tiny language model, opened in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.contract import FileContract
from edgernn.sessions.ort.step import OrtSession


@pytest.fixture(scope="module")
def contract(bundle_folder: Path) -> FileContract:
    bundle = Bundle.open(bundle_folder)
    return bundle.file_contract(bundle.artifact("onnx"))


@pytest.fixture(scope="module")
def path(bundle_folder: Path) -> Path:
    return bundle_folder / "onnx" / "step.onnx"


@pytest.fixture(scope="module")
def ort(path: Path, contract: FileContract) -> OrtSession:
    return OrtSession.open(path, contract)
