"""A process of its own tells the load, the first call and the peak memory of one artifact, and of
no other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgernn.bench.alone import measure_alone, measure_import, peak_bytes
from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.errors import UnavailableError

_BALLAST = 400 << 20

tells_peaks = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows tells no peak through Python"
)


def of(bundle: Bundle, path: str) -> tuple[Artifact, dict[str, np.ndarray]]:
    """Return an artifact and zeros for every tensor that goes into it."""
    artifact = bundle.artifact(path)
    file_contract = bundle.file_contract(artifact)
    shapes = {
        t.name: [file_contract.axis_size(axis) or 1 for axis in t.axes]
        for t in file_contract.spec.inputs
    }
    return artifact, {t.name: np.zeros(shapes[t.name], t.dtype) for t in file_contract.spec.inputs}


def test_a_step_file(bundle: Bundle) -> None:
    found = measure_alone(bundle, *of(bundle, "onnx/step.onnx"), threads=None)
    assert found.load_ms > 0
    assert found.first_ms > 0


@pytest.mark.parametrize("path", ["onnx/encode.onnx", "onnx/step.onnx"])
def test_both_graphs_of_a_captioner(path: str, captioner_bundle: Bundle) -> None:
    found = measure_alone(captioner_bundle, *of(captioner_bundle, path), threads=1)
    assert found.load_ms > 0
    assert found.first_ms > 0


@tells_peaks
def test_the_peak_is_its_own_and_not_that_of_who_asks(bundle: Bundle) -> None:
    ballast = np.ones(
        _BALLAST, np.uint8
    )  # of which a process that is started would inherit the mark
    own = peak_bytes()
    baseline = measure_import("onnx")
    found = measure_alone(bundle, *of(bundle, "onnx/step.onnx"), threads=None).peak_bytes
    assert own is not None
    assert baseline is not None
    assert found is not None
    assert 10 << 20 < baseline < found < _BALLAST < own
    assert ballast.all()


def test_a_process_that_fails_says_why(bundle: Bundle) -> None:
    artifact, feeds = of(bundle, "onnx/step.onnx")
    del feeds["h"]
    with pytest.raises(
        UnavailableError, match=r"a process of its own failed with 1: KeyError: 'h'"
    ):
        measure_alone(bundle, artifact, feeds, threads=None)


def test_the_current_folder_is_no_place_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    measure_import("onnx")
