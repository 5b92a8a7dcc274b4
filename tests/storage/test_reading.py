"""Files as they are read: digests of files and folders, and what is refused to be opened."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn import storage

NAMES = st.text("abc", min_size=1, max_size=3)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=2).map(lambda parts: "/".join(parts) + ".bin"),
    st.binary(max_size=8),
    max_size=4,
)


def plant(folder: Path, tree: dict[str, bytes]) -> Path:
    folder.mkdir()
    for inner, content in tree.items():
        (folder / inner).parent.mkdir(parents=True, exist_ok=True)
        (folder / inner).write_bytes(content)
    return folder


def test_the_digest_of_a_file_longer_than_one_block(tmp_path: Path) -> None:
    content = bytes(range(256)) * 4100  # over 1 MiB, and no whole number of blocks
    (tmp_path / "file").write_bytes(content)
    assert storage.sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()
    assert storage.size_bytes(tmp_path / "file") == len(content)


def listing_digest(tree: dict[str, bytes]) -> str:
    lines = [
        f"{hashlib.sha256(content).hexdigest()}  {inner}\n"
        for inner, content in sorted(tree.items())
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


@settings(max_examples=30, deadline=None)
@given(tree=TREES)
def test_the_digest_of_a_folder_is_that_of_its_listing(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = plant(Path(place) / "any name", tree)
        (folder / "empty").mkdir()  # a listing has files only
        assert storage.sha256(folder) == listing_digest(tree)
        assert storage.size_bytes(folder) == sum(map(len, tree.values()))


def test_the_digest_of_a_folder_sees_a_changed_byte_a_new_name_and_a_new_place(
    tmp_path: Path,
) -> None:
    trees = [
        {"a": b"one", "b/c": b"two"},
        {"a": b"onf", "b/c": b"two"},
        {"z": b"one", "b/c": b"two"},
        {"a": b"one", "b/z": b"two"},
        {"a": b"one", "c": b"two"},
        {"a": b"two", "b/c": b"one"},
    ]
    digests = [
        storage.sha256(plant(tmp_path / str(index), tree)) for index, tree in enumerate(trees)
    ]
    assert len(set(digests)) == len(trees)


def test_only_plain_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, number in (
        (tmp_path / "pipe", errno.ENXIO),
        (tmp_path, errno.EISDIR),
        (Path("/dev/zero"), errno.ENXIO),
    ):
        with pytest.raises(OSError, match=os.strerror(number)):
            storage.read_bytes(path)
    with pytest.raises(FileNotFoundError):
        storage.read_bytes(tmp_path / "nothing")


def test_no_more_is_read_than_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert storage.read_bytes(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(OSError, match="more than the 4 bytes"):
        storage.read_bytes(tmp_path / "file", most=4)


def test_what_systems_leave_is_no_part_of_a_folder(tmp_path: Path) -> None:
    plant(tmp_path / "folder", {"a": b"1", "b/c": b"2"})
    before = storage.sha256(tmp_path / "folder"), storage.size_bytes(tmp_path / "folder")
    (tmp_path / "folder" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "folder" / "b" / "._c").write_bytes(b"x")
    assert (storage.sha256(tmp_path / "folder"), storage.size_bytes(tmp_path / "folder")) == before
