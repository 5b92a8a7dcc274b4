"""Single files: the same bundle gives the same bytes, and no zip unpacks more than its manifest
lists.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from edgernn import storage
from edgernn.bundle import Bundle, pack
from edgernn.errors import BundleError

ONNX, TORCHSCRIPT = "onnx/step.onnx", "torchscript/step.pt"
COREML = "coreml/step.mlpackage"


def refusal(source: Path) -> str:
    """Return the message with which opening fails, after a look at what every message must have."""
    with pytest.raises(BundleError) as caught:
        Bundle.open(source)
    message = str(caught.value)
    assert str(source) in message
    assert "\n" not in message
    return message


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


def test_a_pipe_in_place_of_a_single_file_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.edgernn")
    assert "is no plain file, expected a bundle" in refusal(tmp_path / "pipe.edgernn")


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
