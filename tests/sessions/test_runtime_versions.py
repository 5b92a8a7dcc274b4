"""What runtime a file needs is read off its operators and the manifest; an older one is told, and
never blames the file.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import onnxruntime
import pytest

from edgernn.bundle import Bundle
from edgernn.errors import UnavailableError
from edgernn.export.pack import export_bundle
from edgernn.export.rounding.compression import Budget
from edgernn.export.source import ReducedOptions
from edgernn.parity.verify import verify_bundle
from edgernn.sessions import runtime_versions
from edgernn.sessions.opening import first_that_runs, open_session
from edgernn.sessions.ort.floors import required_by
from edgernn.sessions.ort.reading import read_model
from edgernn.sessions.runtime_versions import refuse_older


@pytest.fixture(scope="module")
def reduced(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of float32 and int4 files."""
    folder = tmp_path_factory.mktemp("reduced") / "bundle"
    options = ReducedOptions(budget=Budget(perplexity=0.5))
    export_bundle(
        checkpoint_folder,
        folder,
        to="onnx",
        precision=["float32", "int4"],
        steps=8,
        options=options,
    )
    return folder


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "__version__", "1.22.1")


def test_the_manifest_says_what_integers_need(reduced: Path) -> None:
    needs = {
        artifact.precision: artifact.requires
        for artifact in Bundle.open(reduced).manifest.artifacts
    }
    assert needs == {"float32": {}, "int4": {"onnxruntime": "1.23"}}
    assert required_by(read_model(reduced / "onnx/step-int4.onnx")) == {"onnxruntime": "1.23"}
    assert required_by(read_model(reduced / "onnx/step.onnx")) == {}


@pytest.mark.usefixtures("older")
def test_an_older_runtime_runs_what_it_can_and_says_what_it_cannot(reduced: Path) -> None:
    report = verify_bundle(reduced, steps=8)
    by_path = {artifact.path: artifact for artifact in report.artifacts}
    assert {check.status for check in by_path["onnx/step.onnx"].checks} == {"passed"}
    own = {check.name: check for check in by_path["onnx/step-int4.onnx"].checks}
    ran = {name for name, check in own.items() if check.status != "not run"}
    assert ran <= {"structure"}, "the file's graph can be read without a runtime"
    assert "failed" not in {check.status for check in own.values()}
    assert (
        "needs onnxruntime 1.23 or newer, this is 1.22.1; run: pip install -U"
        in own["contract"].detail
    )
    assert first_that_runs(Bundle.open(reduced))[0].path == "onnx/step.onnx"


@pytest.mark.usefixtures("older")
def test_a_lone_file_and_an_old_bundle_say_it_by_their_operators(
    reduced: Path, tmp_path: Path
) -> None:
    lone = shutil.copy(reduced / "onnx/step-int4.onnx", tmp_path / "a.onnx")
    with pytest.raises(
        UnavailableError, match=r"a\.onnx needs onnxruntime 1\.23 or newer, this is 1\.22\.1"
    ):
        open_session(lone)


@pytest.mark.parametrize(
    ("lowest", "found", "serves"),
    [
        ("1.23", "1.23.0", True),
        ("1.23", "1.22.9", False),
        ("1.9", "1.10", True),
        ("2", "1.99.9", False),
        ("1.23", "1.23.0rc1+cpu", True),
        ("1.23.1", "1.23", False),
        ("1", "1.0.0", True),
    ],
)
def test_versions_compare_by_their_numbers(
    lowest: str, found: str, serves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_versions, "installed", lambda package: found)
    if serves:
        refuse_older({"torch": lowest}, "it")
    else:
        with pytest.raises(UnavailableError, match=f"it needs torch {lowest} or newer, this is "):
            refuse_older({"torch": lowest}, "it")


def test_no_manifest_has_an_unknown_package_installed() -> None:
    with pytest.raises(
        UnavailableError,
        match="needs 'no-such-package', which is no runtime that this edgernn knows",
    ) as found:
        refuse_older({"no-such-package": "3"}, "it")
    assert "pip" not in str(found.value)
