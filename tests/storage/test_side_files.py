"""What systems leave in folders is told from what people put there."""

from __future__ import annotations

import pytest

from edgernn.storage.side_files import is_side_file

LEFT = [
    ".DS_Store",
    "._step.onnx",
    "Thumbs.db",
    "thumbs.db",
    "desktop.ini",
    ".nfs000000000123abcd00000001",
    "__MACOSX/onnx/._step.onnx",
    ".Spotlight-V100/Store-V2/x",
    ".Trashes",
    ".Trash-1000/files/x",
    ".fseventsd/0001",
    "Icon\r",
    ".directory",
    "~$notes.docx",
    ".~lock.notes.odt#",
    ".step.onnx.icloud",
    ".fuse_hidden0000001200000001",
    ".syncthing.step.onnx.tmp",
    "@eaDir/x",
]
PUT = [
    "step.onnx",
    "Data/weights.bin",
    ".hidden",
    "thumbs.db.onnx",
    "nfs0001",
    "Icon",
    "notes.icloud",
    "a.b._c",
    "directory",
]


@pytest.mark.parametrize("name", LEFT, ids=repr)
def test_what_a_system_leaves_is_a_side_file_wherever_it_lies(name: str) -> None:
    assert is_side_file(name)
    assert is_side_file(f"coreml/step.mlpackage/{name}")


@pytest.mark.parametrize("name", PUT)
def test_what_a_person_put_there_is_none(name: str) -> None:
    assert not is_side_file(name)
