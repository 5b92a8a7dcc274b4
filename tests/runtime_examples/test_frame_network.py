"""The golden run of a network of frames, exported from Python by no file of edgernn, in every
host.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from amplifier import export_amplifier
from hosts import HOSTS, Host


@pytest.fixture(scope="module")
def amplifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_amplifier(tmp_path_factory.mktemp("hosts") / "amplifier").folder


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx"])
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_it_passes_the_golden_run(
    host: Host, artifact: str, amplifier: Path, request: pytest.FixtureRequest
) -> None:
    rows = host.start(request).rows(amplifier, "--artifact", artifact)
    assert all(verdict != "FAILED" for *_, verdict in rows.values())
    assert any("sample" in name for name in rows)
