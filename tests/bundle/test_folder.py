"""Bundles open whole or not at all: every kind of damage is named, and nothing leaves the bundle's
folder.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgernn.bundle import Bundle, digest, pack
from edgernn.errors import BundleError, UsageError

ONNX, TORCHSCRIPT = "onnx/step.onnx", "torchscript/step.pt"
COREML = "coreml/step.mlpackage"
WEIGHTS = f"{COREML}/Data/com.apple.CoreML/weights/weight.bin"
LISTED = (
    ONNX,
    TORCHSCRIPT,
    WEIGHTS,
    "tokenizer.json",
    "golden.safetensors",
    "reference/weights.safetensors",
)


def refusal(source: Path) -> str:
    """Return the message with which opening fails, after a look at what every message must have."""
    with pytest.raises(BundleError) as caught:
        Bundle.open(source)
    message = str(caught.value)
    assert str(source) in message
    assert "\n" not in message
    return message


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "manifest.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    change(raw)
    path.write_text(json.dumps(raw), encoding="utf-8")


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_folder_opens_where_it_lies(bundle_folder: Path) -> None:
    with Bundle.open(bundle_folder) as bundle:
        assert bundle.folder == bundle.source == bundle_folder
        assert [artifact.path for artifact in bundle.manifest.artifacts][:2] == [ONNX, TORCHSCRIPT]
    assert bundle_folder.is_dir()  # leaving removes only what opening made


def test_files_that_are_not_listed_are_welcome(copy: Path, tmp_path: Path) -> None:
    (copy / "report.json").write_text("{}")
    (copy / "notes").mkdir()
    (copy / "notes" / "mine.txt").write_text("x")
    Bundle.open(copy)
    pack(copy, tmp_path / "with-notes.edgernn")
    with Bundle.open(tmp_path / "with-notes.edgernn") as bundle:
        assert not (bundle.folder / "notes").exists()  # only what the manifest lists is unpacked


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (cut, "bytes, the manifest says"),
    "one bit": (flip_last_byte, "SHA-256"),
    "missing": (Path.unlink, ""),
    "a folder": (make_folder, ""),
}


@pytest.mark.parametrize(("damage", "says"), DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("inner", LISTED)
def test_every_damaged_file_is_named(
    copy: Path, inner: str, damage: Callable[[Path], object], says: str
) -> None:
    damage(copy / inner)
    message = refusal(copy)
    assert (COREML if inner == WEIGHTS else inner) in message  # a package counts as one file
    assert says in message
    assert "export the bundle again" in message


def test_a_file_too_many_in_a_package_is_damage(copy: Path) -> None:
    (copy / COREML / "empty").touch()
    assert f"{COREML} does not have the SHA-256" in refusal(copy)


def test_a_missing_artifact_says_what_to_do(copy: Path) -> None:
    (copy / ONNX).unlink()
    assert refusal(copy) == f"{copy}: {ONNX} is missing; copy or export the bundle again"


def test_digests_can_be_left_for_later(copy: Path) -> None:
    flip_last_byte(copy / ONNX)
    bundle = Bundle.open(copy, verify_digests=False)
    with pytest.raises(BundleError, match=ONNX):
        bundle.verify_digests()


def test_there_is_nothing(tmp_path: Path) -> None:
    assert "no bundle at" in refusal(tmp_path / "nothing")
    assert "no bundle at" in refusal(tmp_path / "nothing.edgernn")


def test_a_folder_without_a_manifest_is_no_bundle(copy: Path) -> None:
    (copy / "manifest.json").unlink()
    assert "has no manifest.json: it is not a bundle" in refusal(copy)


def test_a_manifest_of_another_schema_is_named(copy: Path) -> None:
    edit_manifest(copy, lambda raw: raw.update(schema_version=3))
    assert "manifest.json has schema version 3; this edgernn reads versions 1 to 2" in refusal(copy)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\x00", b"[]"], ids=["empty", "cut", "no UTF-8", "a list"]
)
def test_a_damaged_manifest_is_named(copy: Path, content: bytes) -> None:
    (copy / "manifest.json").write_bytes(content)
    assert "manifest.json" in refusal(copy)


def test_a_huge_manifest_is_not_read(copy: Path) -> None:
    with (copy / "manifest.json").open("r+b") as file:
        file.truncate(17 << 20)
    assert "manifest.json has over 16 MiB" in refusal(copy)


def test_a_manifest_may_not_list_what_lies_outside(copy: Path) -> None:
    (copy.parent / "secret").write_text("x")
    entry = digest(copy.parent / "secret").model_dump()
    edit_manifest(copy, lambda raw: raw["files"].update({"../secret": entry}))
    assert "the path '../secret' does not stay inside the bundle" in refusal(copy)


def test_a_path_that_no_file_system_takes_is_named(copy: Path) -> None:
    entry = {"bytes": 0, "sha256": "0" * 64}
    edit_manifest(copy, lambda raw: raw["files"].update({"n" * 300: entry}))
    assert "n" * 300 in refusal(copy)


def move_out(copy: Path, inner: str) -> None:
    """Put a link in the place of a file or folder; what it leads to is unchanged, so the digests
    still fit.
    """
    outside = copy.parent / "outside"
    shutil.move(copy / inner, outside)
    (copy / inner).symlink_to(outside)


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        (ONNX, ONNX),
        ("onnx", ONNX),
        ("tokenizer.json", "tokenizer.json"),
        (WEIGHTS, COREML),
        (f"{COREML}/Data", COREML),
        (COREML, COREML),
    ],
    ids=[
        "a file",
        "the folder above",
        "a companion",
        "a file in a package",
        "a folder in a package",
        "a package",
    ],
)
def test_a_link_out_of_the_folder_is_refused(copy: Path, inner: str, named: str) -> None:
    move_out(copy, inner)
    assert f"{named} leads out of the bundle's folder" in refusal(copy)


def test_a_relative_link_out_of_the_folder_is_refused(copy: Path) -> None:
    shutil.move(copy / ONNX, copy.parent / "step.onnx")
    (copy / ONNX).symlink_to(Path("..", "..", "step.onnx"))
    assert f"{ONNX} leads out of the bundle's folder" in refusal(copy)


def test_a_link_within_the_folder_is_welcome(copy: Path) -> None:
    shutil.move(copy / ONNX, copy / "shared.onnx")
    (copy / ONNX).symlink_to(Path("..", "shared.onnx"))
    (copy.parent / "link").symlink_to(copy)
    Bundle.open(copy.parent / "link")


@pytest.mark.parametrize("inner", [ONNX, f"{COREML}/loop"], ids=["a file", "in a package"])
def test_a_link_to_itself_is_refused(copy: Path, inner: str) -> None:
    (copy / inner).unlink(missing_ok=True)
    (copy / inner).symlink_to(Path(inner).name)
    assert Path(inner).parts[1] in refusal(copy)


def test_paths_are_checked_when_they_are_asked_for(bundle: Bundle, copy: Path) -> None:
    assert bundle.path("tokenizer.json") == bundle.folder / "tokenizer.json"
    for inner in (
        "nothing",
        "manifest.json",
        "refer",
        "",
        "../tokenizer.json",
        "onnx/../tokenizer.json",
    ):
        with pytest.raises(BundleError, match="the manifest does not list"):
            bundle.path(inner)
    assert bundle.path("reference") == bundle.folder / "reference"
    opened = Bundle.open(copy)
    move_out(copy, "tokenizer.json")
    with pytest.raises(BundleError, match=r"tokenizer\.json leads out"):
        opened.path("tokenizer.json")


def test_an_artifact_is_chosen_by_path_by_format_or_first(bundle: Bundle) -> None:
    assert bundle.artifact() == bundle.manifest.artifacts[0]
    assert bundle.artifact(TORCHSCRIPT).format == "torchscript"
    assert bundle.artifact("torchscript").path == TORCHSCRIPT
    assert bundle.artifact("coreml").path == COREML
    assert bundle.artifact("coreml-mlstate").narrowing.runtime_state


def test_of_a_captioner_a_format_means_its_step_and_a_path_means_itself(
    captioner_bundle: Bundle,
) -> None:
    assert captioner_bundle.manifest.artifacts[0].graph == "encode"
    for name, path in (
        (None, ONNX),
        ("onnx", ONNX),
        ("torchscript", TORCHSCRIPT),
        ("coreml", COREML),
    ):
        assert captioner_bundle.artifact(name).path == path
        assert captioner_bundle.artifact(name).graph == "step"
    for artifact in captioner_bundle.manifest.artifacts:
        assert captioner_bundle.artifact(artifact.path) == artifact
        assert captioner_bundle.file_contract(artifact).graph == artifact.graph


@pytest.mark.parametrize("name", ["", "tflite", "onnx/other.onnx", "step.onnx"])
def test_an_unknown_artifact_lists_those_there_are(bundle: Bundle, name: str) -> None:
    with pytest.raises(
        UsageError, match=rf"no artifact '{name}' in .*; it has: {ONNX}, {TORCHSCRIPT}, {COREML}"
    ):
        bundle.artifact(name)


def test_a_bundle_without_artifacts_says_so(copy: Path) -> None:
    edit_manifest(copy, lambda raw: raw.update(artifacts=[]))
    with pytest.raises(UsageError, match="it has: none"):
        Bundle.open(copy).artifact()


def test_the_file_contract_of_an_artifact_is_narrowed_as_the_manifest_says(bundle: Bundle) -> None:
    artifact = bundle.artifact("coreml")
    file_contract = bundle.file_contract(artifact)
    assert file_contract.narrowing == artifact.narrowing
    assert file_contract.contract == bundle.manifest.contract
    assert file_contract.decoding == bundle.manifest.decoding


@pytest.mark.parametrize("inner", ["manifest.json", ONNX, "tokenizer.json"])
def test_a_pipe_in_place_of_a_file_holds_nobody_up(copy: Path, inner: str) -> None:
    (copy / inner).unlink()
    os.mkfifo(copy / inner)
    assert inner in refusal(copy)


@pytest.mark.parametrize("inner", ["manifest.json", ONNX, "tokenizer.json"])
def test_a_file_that_may_not_be_read_is_named(
    copy: Path, inner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open

    def refuse(path: object, *rest: object, **options: object) -> int:
        if str(path) == str(copy / inner):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *rest, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied" in refusal(copy)


def test_a_manifest_that_is_a_link_out_of_the_folder_is_refused(copy: Path, tmp_path: Path) -> None:
    (copy / "manifest.json").rename(tmp_path / "elsewhere.json")
    (copy / "manifest.json").symlink_to(tmp_path / "elsewhere.json")
    assert "manifest.json leads out of the bundle's folder" in refusal(copy)


def test_a_file_that_changes_after_it_was_vouched_for_is_not_handed_out(copy: Path) -> None:
    bundle = Bundle.open(copy)
    (copy / ONNX).touch()  # no change
    assert bundle.path(ONNX) == copy / ONNX
    content = bytearray((copy / ONNX).read_bytes())
    content[-1] ^= 1
    (copy / ONNX).write_bytes(content)
    with pytest.raises(BundleError, match=f"{ONNX} does not have the SHA-256"):
        bundle.path(ONNX)
