"""Where a signature lies, and what it is to cover; nothing is signed here."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from edgernn import storage
from edgernn.bundle import Bundle, pack
from edgernn.bundle.signature import beside, is_signed, listed_files, side_files, strays
from edgernn.errors import BundleError


def test_a_signature_travels_with_the_bundle(copy: Path, tmp_path: Path) -> None:
    assert not is_signed(copy)
    (copy / "model.sig").write_text("{}")
    pack(copy, tmp_path / "b.edgernn")
    assert is_signed(copy)
    assert is_signed(tmp_path / "b.edgernn")
    with Bundle.open(tmp_path / "b.edgernn") as bundle:
        assert (bundle.folder / "model.sig").read_text() == "{}"
        assert not strays(bundle, listed_files(bundle))


def test_what_is_no_bundle_is_not_signed(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    assert not any(map(is_signed, (tmp_path / "x", tmp_path / "absent", tmp_path)))


def test_no_manifest_lists_a_signature(copy: Path) -> None:
    (copy / "model.sig").write_text("{}")
    content = json.loads((copy / "manifest.json").read_text())
    content["files"]["model.sig"] = {
        "bytes": 2,
        "sha256": storage.sha256(copy / "model.sig"),
    }
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"'model.sig' stands twice"):
        Bundle.open(copy)


def test_a_signature_without_end_is_not_unpacked(copy: Path, tmp_path: Path) -> None:
    pack(copy, tmp_path / "b.edgernn")
    with zipfile.ZipFile(tmp_path / "b.edgernn", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.sig", bytes((16 << 20) + 1))
    with pytest.raises(BundleError, match=r"model.sig is larger than the manifest says"):
        Bundle.open(tmp_path / "b.edgernn")


def test_whatever_else_lies_there_is_a_stray(copy: Path, tmp_path: Path) -> None:
    for name in ("report.json", "README.md", ".gitattributes", ".DS_Store", "notes.txt", "a/b"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("x")
    pack(copy, tmp_path / "b.edgernn")
    for path in (copy, tmp_path / "b.edgernn"):
        with Bundle.open(path) as bundle:
            assert strays(bundle, listed_files(bundle)) == ["a/b", "notes.txt"]
    assert side_files(copy) == [".DS_Store"]


def test_a_manifest_that_was_changed_since_is_not_vouched_for(copy: Path) -> None:
    bundle = Bundle.open(copy)
    content = json.loads((copy / "manifest.json").read_text())
    content["provenance"]["created"] = "later"
    (copy / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match="was changed since it was opened"):
        listed_files(bundle)


def test_a_listed_file_is_never_left_out(copy: Path) -> None:
    shutil.copy(copy / "golden.safetensors", copy / "README.md")
    content = json.loads((copy / "manifest.json").read_text())
    content["files"]["README.md"] = content["files"]["golden.safetensors"]
    (copy / "manifest.json").write_text(json.dumps(content))
    bundle = Bundle.open(copy)
    assert "README.md" not in beside(bundle)
    assert "README.md" in listed_files(bundle)
