"""One small network of OpenVINO, as the exporter writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgernn.contract import Decoding


@pytest.fixture(scope="session")
def written(
    make_model: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return what writes a precision of a small model, each once."""
    pytest.importorskip("openvino")
    pytest.importorskip("torch")
    from edgernn.export.to_openvino.exporter import OpenVinoExporter

    folder, model = tmp_path_factory.mktemp("openvino"), make_model()

    def write(precision: str) -> Path:
        path = folder / precision
        if not path.exists():
            OpenVinoExporter().export(model, path, precision=precision, decoding=Decoding())
        return path

    return write
