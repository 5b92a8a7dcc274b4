"""The golden run of every family that is described by layers, in every host."""

from __future__ import annotations

from pathlib import Path

import pytest
from family_networks import ROWS, export_tiny
from hosts import HOSTS, Host


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.mark.parametrize("word", ROWS)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_a_host_passes_the_golden_run(
    host: Host, word: str, place: Path, request: pytest.FixtureRequest
) -> None:
    if not (folder := place / word).exists():
        export_tiny(word, folder, to=["onnx"], precision=["float32", "int8"], steps=32)
    command = host.start(request)
    for artifact in ("onnx/step.onnx", "onnx/step-int8.onnx"):
        rows = command.rows(folder, "--artifact", artifact)
        assert rows
        assert all(verdict != "FAILED" for *_, verdict in rows.values())
