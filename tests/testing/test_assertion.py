"""``assert_parity``: what passes returns its report, what fails says every failure, whatever it was
given.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.errors import BundleError, CheckpointError, ContractError, UsageError
from edgernn.models import checkpoint
from edgernn.models.language import LanguageModel
from edgernn.parity import verify
from edgernn.parity.report.data import Check
from edgernn.storage.owner import own_mark
from edgernn.testing.assertion import assert_parity


def own_folders() -> list[Path]:
    """The scratch folders of this process, not those of others that run beside it."""
    return sorted(Path(tempfile.gettempdir()).glob(f".edgernn.{own_mark()}-*"))


@pytest.fixture
def spoiled(bundle_folder: Path, tmp_path: Path) -> Path:
    """A bundle whose manifest says what its files' metadata do not."""
    folder = Path(shutil.copytree(bundle_folder, tmp_path / "spoiled"))
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["decoding"]["temperature"] = 0.123
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", [Path, str, Bundle.open], ids=["path", "text", "bundle"])
def test_a_right_bundle(bundle_folder: Path, kind: Callable[[Path], Path | str | Bundle]) -> None:
    report = assert_parity(kind(bundle_folder), to="onnx", steps=4)
    assert report.passed
    assert [artifact.path for artifact in report.artifacts] == ["onnx/step.onnx"]
    assert not (bundle_folder / "report.json").exists()


def test_a_checkpoint_is_exported_on_the_fly(checkpoint_folder: Path) -> None:
    before = own_folders()
    for source in (checkpoint_folder, str(checkpoint_folder), checkpoint.load(checkpoint_folder)):
        report = assert_parity(source, to=["onnx"], precision="float32", steps=4)
        assert [artifact.path for artifact in report.artifacts] == ["onnx/step.onnx"]
        assert ".tmp" not in report.bundle
    assert own_folders() == before


def test_every_failed_check_is_listed(spoiled: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_parity(spoiled, to=["onnx", "torchscript"], steps=4)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        f"no parity: {spoiled}: 0 of 2 artifacts passed over 4 steps only (a full check has "
        "256), 2 failed"
    )
    assert lines[1] == "  compared with eager torch from the bundle, 4 steps"
    wrong = "the contract in its metadata is another one"
    assert lines[2:] == [
        f"  onnx/step.onnx (float32), contract: {wrong}",
        f"  torchscript/step.pt (float32), contract: {wrong}",
    ]


def test_another_reference_shows_the_numbers(
    bundle_folder: Path,
    checkpoint_folder: Path,
    make_model: Callable[..., LanguageModel],
    tmp_path: Path,
) -> None:
    other = checkpoint.load(checkpoint_folder)
    other.model.head.bias.data.add_(1.0)
    checkpoint.save(other, tmp_path / "other")
    with pytest.raises(
        AssertionError, match=r"(?s)\(float32\), rollout: .*    worst scaled: 0\.\d"
    ):
        assert_parity(bundle_folder, to=["onnx"], steps=4, reference=tmp_path / "other")


def test_nothing_that_could_be_run(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        verify,
        "run_check",
        lambda subject, name: Check(name=name, status="not run", detail="no Mac"),
    )
    with pytest.raises(AssertionError) as caught:
        assert_parity(bundle_folder, to=["onnx"], steps=4)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(
        f"parity could not be judged: {bundle_folder}: 0 of 1 artifact passed over 4 steps only"
    )
    assert lines[2:] == ["  onnx/step.onnx (float32), not run: no Mac"]


def test_an_export_that_breaks_its_tolerance(
    checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ContractError("onnx float32 is 3.0e-01 from the reference")

    monkeypatch.setattr("edgernn.export.pack.export_bundle", refuse)
    with pytest.raises(
        AssertionError, match=r"cannot be exported: onnx float32 is 3\.0e-01 from the reference"
    ):
        assert_parity(checkpoint_folder, to=["onnx"], steps=4)


def test_bad_input_is_no_assertion(tmp_path: Path, bundle_folder: Path) -> None:
    with pytest.raises(BundleError, match="no bundle at"):
        assert_parity(tmp_path / "absent")
    with pytest.raises(CheckpointError, match="it is an empty folder"):
        assert_parity(tmp_path)
    with pytest.raises(UsageError, match="steps is 0"):
        assert_parity(bundle_folder, steps=0)
    with pytest.raises(UsageError, match="is exported already"):
        assert_parity(bundle_folder, precision="float16")
    with pytest.raises(UsageError, match="an object of the type int was given"):
        assert_parity(7)  # type: ignore[arg-type]
