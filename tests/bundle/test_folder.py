"""Bundles open whole or not at all: every kind of damage is named, and nothing leaves the bundle's
folder.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgernn import storage
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


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be damaged."""
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def packed(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle as one file. Read only."""
    target = tmp_path_factory.mktemp("packed") / "tiny.edgernn"
    pack(bundle_folder, target)
    return target


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where single-file bundles are unpacked."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


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


def zip_with(folder: Path, target: Path, entries: dict[str, bytes]) -> Path:
    """Pack ``folder``, with ``entries`` in place of its own or beside them."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder).as_posix()
            if path.is_file() and inner not in entries:
                archive.write(path, inner)
        for name, content in entries.items():
            archive.writestr(name, content)
    return target


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


def test_a_single_file_has_the_same_content(bundle_folder: Path, packed: Path) -> None:
    with Bundle.open(packed) as bundle, Bundle.open(bundle_folder) as original:
        assert bundle.source == packed
        assert bundle.manifest == original.manifest
        assert files(bundle.folder) == files(bundle_folder)


def test_packing_twice_gives_the_same_bytes(
    bundle_folder: Path, copy: Path, packed: Path, tmp_path: Path
) -> None:
    for path in copy.rglob("*"):
        os.utime(path, (0, 1_000_000_000))  # neither place nor time is part of it
    pack(copy, tmp_path / "again.edgernn")
    assert (tmp_path / "again.edgernn").read_bytes() == packed.read_bytes()
    assert packed.stat().st_size < storage.size_bytes(bundle_folder)


def test_a_packed_bundle_is_a_plain_zip(bundle_folder: Path, packed: Path) -> None:
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist(), key=lambda name: name.split("/"))
        assert {name: archive.read(name) for name in archive.namelist()} == files(bundle_folder)


def test_leaving_a_single_file_bundle_removes_what_was_unpacked(
    packed: Path, scratch: Path
) -> None:
    with Bundle.open(packed) as bundle:
        assert bundle.folder.is_relative_to(scratch)
    assert list(scratch.iterdir()) == []
    assert packed.exists()


def test_a_forgotten_single_file_bundle_removes_what_was_unpacked(
    packed: Path, scratch: Path
) -> None:
    bundle = Bundle.open(packed)
    assert list(scratch.iterdir()) == [bundle.folder]
    del bundle
    gc.collect()
    assert list(scratch.iterdir()) == []


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


@pytest.mark.parametrize(
    "name", ["../evil", f"{COREML}/../../../evil", f"{COREML}/../../../../evil", "{outside}/evil"]
)
def test_a_zip_entry_that_leads_out_writes_nothing(
    copy: Path, tmp_path: Path, scratch: Path, name: str
) -> None:
    name = name.format(outside=tmp_path)
    target = zip_with(copy, tmp_path / "evil.edgernn", {name: b"evil"})
    try:
        with Bundle.open(target) as bundle:
            assert files(bundle.folder) == files(copy)
    except BundleError as error:
        assert f"the entry {name!r} leads out of the bundle's folder" in str(error)
    assert list(scratch.iterdir()) == []
    assert not Path(os.path.normpath(scratch / "unpacked" / name)).exists()


def test_a_listed_zip_entry_that_leads_out_is_refused_by_name(copy: Path, tmp_path: Path) -> None:
    name = f"{COREML}/../../../evil"
    target = zip_with(copy, tmp_path / "evil.edgernn", {name: b"evil"})
    assert f"the entry {name!r} leads out" in refusal(target)


@pytest.mark.parametrize("name", ["tokenizer.json", f"{COREML}/bomb"])
def test_a_zip_entry_larger_than_the_manifest_says_is_refused(
    copy: Path, tmp_path: Path, scratch: Path, name: str
) -> None:
    target = zip_with(copy, tmp_path / "bomb.edgernn", {name: bytes(1 << 20)})
    assert f"{name} is larger than the manifest says" in refusal(target)
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_many_small_zip_entries_find_no_more_room_than_one_large_one(
    copy: Path, tmp_path: Path
) -> None:
    target = zip_with(
        copy,
        tmp_path / "bomb.edgernn",
        {f"{COREML}/{index:03}": bytes(1000) for index in range(100)},
    )
    assert "is larger than the manifest says" in refusal(target)


def test_a_zip_entry_that_understates_its_size_is_refused(copy: Path, tmp_path: Path) -> None:
    true_size = (1 << 20) + 12_345
    target = zip_with(copy, tmp_path / "bomb.edgernn", {"tokenizer.json": bytes(true_size)})
    said = (copy / "tokenizer.json").stat().st_size
    content = target.read_bytes()
    assert (
        content.count(true_size.to_bytes(4, "little")) == 2
    )  # in the entry's own header and in the directory
    target.write_bytes(content.replace(true_size.to_bytes(4, "little"), said.to_bytes(4, "little")))
    refusal(target)


def test_a_huge_manifest_is_not_unpacked(copy: Path, tmp_path: Path) -> None:
    target = zip_with(copy, tmp_path / "bomb.edgernn", {"manifest.json": bytes(17 << 20)})
    assert "manifest.json is larger" in refusal(target)


def test_an_entry_that_is_not_listed_is_never_unpacked(copy: Path, tmp_path: Path) -> None:
    target = zip_with(
        copy, tmp_path / "more.edgernn", {"onnx/other.onnx": b"x", "reference2": b"x"}
    )
    with Bundle.open(target) as bundle:
        assert files(bundle.folder) == files(copy)


def test_a_changed_byte_in_a_zip_is_named(copy: Path, tmp_path: Path, scratch: Path) -> None:
    flip_last_byte(copy / ONNX)
    pack(copy, tmp_path / "changed.edgernn")
    assert f"{ONNX} does not have the SHA-256" in refusal(tmp_path / "changed.edgernn")
    gc.collect()
    assert list(scratch.iterdir()) == []


def test_a_zip_that_lacks_a_file_names_it(copy: Path, tmp_path: Path) -> None:
    (copy / ONNX).unlink()
    pack(copy, tmp_path / "lacking.edgernn")
    assert f"{ONNX} is missing" in refusal(tmp_path / "lacking.edgernn")


def test_a_zip_without_a_manifest_is_no_bundle(tmp_path: Path, scratch: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.edgernn", "w") as archive:
        archive.writestr("readme.txt", "x")
    assert "has no manifest.json: it is not a bundle" in refusal(tmp_path / "other.edgernn")
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99, -1], ids=str)
def test_a_cut_off_zip_is_refused(packed: Path, tmp_path: Path, scratch: Path, keep: float) -> None:
    content = packed.read_bytes()
    kept = content[: int(keep * len(content))] if isinstance(keep, float) else content[:keep]
    (tmp_path / "cut.edgernn").write_bytes(kept)
    told = (
        "is neither a bundle folder nor a whole .edgernn file"
        if kept
        else "is an empty file, expected a bundle"
    )
    assert told in refusal(tmp_path / "cut.edgernn")
    assert list(scratch.iterdir()) == []


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "random.edgernn").write_bytes(bytes(range(256)) * 20)
    assert "is neither a bundle folder nor a whole .edgernn file" in refusal(
        tmp_path / "random.edgernn"
    )
    assert list(scratch.iterdir()) == []


def test_a_zip_with_any_changed_byte_opens_unchanged_or_is_refused(
    bundle_folder: Path, packed: Path, tmp_path: Path, scratch: Path
) -> None:
    content, target = packed.read_bytes(), tmp_path / "changed.edgernn"
    expected = files(bundle_folder)
    for position in range(0, len(content), len(content) // 150):
        target.write_bytes(
            content[:position] + bytes([content[position] ^ 0x55]) + content[position + 1 :]
        )
        try:
            with Bundle.open(target) as bundle:
                assert files(bundle.folder) == expected, position
        except BundleError as error:
            assert str(target) in str(error)
    gc.collect()
    assert list(scratch.iterdir()) == []


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


SIDE_FILES = (
    ".DS_Store",
    "._step.onnx",
    "Thumbs.db",
    "desktop.ini",
    ".nfs0000000000000001",
    "Icon\r",
    "__MACOSX/x",
)


def strew(folder: Path) -> None:
    """Leave side files at the top, beside the artifacts and inside the package."""
    for place in (folder, folder / "onnx", folder / COREML, folder / COREML / "Data"):
        for name in SIDE_FILES:
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_bytes(b"left by a system")


def test_what_systems_leave_in_folders_is_let_lie(
    copy: Path, bundle_folder: Path, tmp_path: Path, packed: Path
) -> None:
    strew(copy)
    assert Bundle.open(copy).manifest == Bundle.open(bundle_folder).manifest
    pack(copy, tmp_path / "again.edgernn")
    assert (tmp_path / "again.edgernn").read_bytes() == packed.read_bytes()


def test_what_systems_leave_in_zips_is_not_unpacked(bundle_folder: Path, tmp_path: Path) -> None:
    left = {f"{place}/{name}": b"x" for place in ("onnx", COREML) for name in SIDE_FILES} | {
        "__MACOSX/._manifest.json": b"x"
    }
    with Bundle.open(zip_with(bundle_folder, tmp_path / "mac.edgernn", left)) as bundle:
        assert files(bundle.folder) == files(bundle_folder)


def test_a_bundle_below_a_folder_of_its_zip_says_so(bundle_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "nested.edgernn"
    with zipfile.ZipFile(target, "w") as archive:
        for inner, content in files(bundle_folder).items():
            archive.writestr(f"tiny/{inner}", content)
    assert "it lies below tiny/: unzip it and give that folder" in refusal(target)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["manifest.json", ONNX])
def test_a_zip_with_an_entry_twice_is_refused(
    bundle_folder: Path, packed: Path, tmp_path: Path, name: str
) -> None:
    target = Path(shutil.copy(packed, tmp_path / "twice.edgernn"))
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(name, (bundle_folder / name).read_bytes())
    assert f"the entry {name!r} stands twice" in refusal(
        target
    ) or "is larger than the manifest says" in refusal(target)


@pytest.mark.parametrize("inner", ["manifest.json", ONNX, "tokenizer.json"])
def test_a_pipe_in_place_of_a_file_holds_nobody_up(copy: Path, inner: str) -> None:
    (copy / inner).unlink()
    os.mkfifo(copy / inner)
    assert inner in refusal(copy)


def test_a_pipe_in_place_of_a_single_file_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.edgernn")
    assert "is no plain file, expected a bundle" in refusal(tmp_path / "pipe.edgernn")


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


def test_an_end_while_unpacking_leaves_nothing(
    packed: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*rest: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(shutil, "copyfileobj", end)
    with pytest.raises(SystemExit):
        Bundle.open(packed)
    assert list(scratch.iterdir()) == []


def test_a_full_disk_while_unpacking_is_told(
    packed: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*rest: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fill)
    assert f"could not be unpacked (No space left on device) in {scratch}" in refusal(packed)
    assert list(scratch.iterdir()) == []
