"""Libraries in a bundle: listed, vouched for, and only of what can be built."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgernn.bundle import Bundle
from edgernn.bundle.folder import digest
from edgernn.errors import BundleError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.sessions import compiler

if compiler.lacking() is not None or compiler.zig() is None:
    pytest.skip("this machine has no C compiler, or no ziglang", allow_module_level=True)


@pytest.fixture(scope="module")
def folder(checkpoint_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("libraries") / "bundle"
    export_bundle(checkpoint_folder, out, to=["onnx", "c"], target=["wasm", "host"], steps=4)
    return out


def test_the_manifest_says_what_was_built_by_what(folder: Path) -> None:
    with Bundle.open(folder) as opened:
        onnx, own = opened.manifest.artifacts
        assert onnx.libraries is None
        assert own.libraries is not None
        found = {library.target: library for library in own.libraries}
        assert {name: library.path for name, library in found.items()} == {
            "host": "c/lib/host/step.so",
            "wasm": "c/lib/wasm/step.wasm",
        }
        assert found["wasm"].compiler.startswith("ziglang 0.")
        for library in found.values():
            assert opened.manifest.files[library.path] == digest(folder / library.path)
            assert opened.path(library.path).is_file()


def test_a_changed_library_is_told(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    place = copy / "c" / "lib" / "wasm" / "step.wasm"
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(bytes(content))
    with pytest.raises(BundleError, match=r"wasm/step\.wasm does not have the SHA-256"):
        Bundle.open(copy)


def test_a_library_that_no_file_is_listed_for_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["files"]["c/lib/wasm/step.wasm"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"does not list library of c/step for wasm"):
        Bundle.open(copy)


@pytest.mark.parametrize(
    ("to", "target", "says"),
    [
        ("onnx", "wasm", r"^--target wasm says for which machines c is built.*add --to c"),
        ("c", "wasn", r"^unknown target 'wasn'"),
        ("c", [], r"^no target given"),
    ],
)
def test_what_cannot_be_built_is_told_before_anything_is_written(
    checkpoint_folder: Path, tmp_path: Path, to: str, target: str | list[str], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        export_bundle(checkpoint_folder, tmp_path / "out", to=to, target=target, steps=4)
    assert not (tmp_path / "out").exists()
