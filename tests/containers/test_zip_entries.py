"""Zip files: no more is inflated than is honest, and what says two things is refused."""

from __future__ import annotations

import functools
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgernn.containers.reading import read
from edgernn.containers.zip_entries import open_archive
from edgernn.errors import DataError

_ZEROS = 256 << 20  # bytes, four times what may come out of so small a file


@functools.cache
def zeros() -> bytes:
    """256 MB of zeros, deflated."""
    machine, piece = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1 << 22)
    return b"".join(machine.compress(piece) for _ in range(_ZEROS >> 22)) + machine.flush()


def bomb(path: Path, *, declared: int) -> None:
    """A data.pkl of 256 MB of zeros in 256 kB; the directory says that it is ``declared`` bytes."""
    packed = zeros()
    name = b"archive/data.pkl"
    sizes = struct.pack("<III", 0, len(packed), declared)
    local = (
        b"PK\3\4" + struct.pack("<5H", 20, 0, 8, 0, 0) + sizes + struct.pack("<2H", len(name), 0)
    )
    entry = b"PK\1\2" + struct.pack("<6H", 20, 20, 0, 8, 0, 0) + sizes
    entry += struct.pack("<5H2I", len(name), 0, 0, 0, 0, 0, 0) + name
    start = len(local) + len(name) + len(packed)
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(entry), start, 0)
    path.write_bytes(local + name + packed + entry + end)


@pytest.mark.parametrize("declared", [_ZEROS, 1000])
def test_a_bomb_is_not_inflated(tmp_path: Path, declared: int) -> None:
    bomb(tmp_path / "file", declared=declared)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"is damaged: 'archive/data.pkl' unpacks to"):
            read(tmp_path / "file")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_many_entries_that_are_honest_alone_are_a_bomb_together(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(5):
            archive.writestr(f"{n}", bytes(30 << 20))
    opened = open_archive(memoryview((tmp_path / "file").read_bytes()))
    with pytest.raises(ValueError, match="more than such a file can need"):
        for n in range(5):
            opened.read(f"{n}")


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("a/data.pkl", b"N.")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a/data.pkl", b"K\1.")
    with pytest.raises(DataError, match=r"it has two entries named 'a/data\.pkl'"):
        read(tmp_path / "file")


def test_two_pickles(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("a/data.pkl", b"N.")
        archive.writestr("b/data.pkl", b"K\1.")
    with pytest.raises(DataError, match=r"it holds 2 pickles, as 'a/data\.pkl' and 'b/data\.pkl'"):
        read(tmp_path / "file")


def test_names_that_lead_outside_are_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "file", "w") as archive:
        archive.writestr("../../data.pkl", b"K\1.")
        archive.writestr("/etc/passwd", b"x")
    assert read(tmp_path / "file").tree == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def changed(path: Path, place: int, value: bytes) -> None:
    """Save a tensor and change bytes of the first entry in the directory."""
    torch.save(torch.ones(3), path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"PK\1\2") + place
    raw[at : at + len(value)] = value
    path.write_bytes(raw)


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (8, b"\1", "'file/data.pkl' is encrypted"),
        (10, b"\x0c", "'file/data.pkl' is packed by method 12, expected stored or deflated"),
        (24, b"\1\0\0\0", "'file/data.pkl' is stored, with two sizes"),
        (20, b"\xfe\xff\xff\x7f" * 2, "goes on beyond the end of the file"),
        (20, b"\xff\xff\xff\xff" * 2, "lacks its 64-bit sizes"),
        (42, b"\3", "'file/data.pkl' is not where the directory says"),
        (16, b"\0\0\0\1", "the bytes of 'file/data.pkl' do not have their check sum"),
        (0, b"XX", "the directory of its entries is damaged"),
    ],
)
def test_a_directory_that_does_not_fit(
    tmp_path: Path, place: int, value: bytes, words: str
) -> None:
    changed(tmp_path / "file", place, value)
    with pytest.raises(DataError, match=words):
        read(tmp_path / "file")


def test_directories_of_64_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"a": torch.arange(4.0)}, tmp_path / "before")
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    with (
        zipfile.ZipFile(tmp_path / "before") as old,
        zipfile.ZipFile(tmp_path / "file", "w") as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert b"PK\6\6" in (tmp_path / "file").read_bytes()
    assert read(tmp_path / "file").tree["a"].tolist() == [0, 1, 2, 3]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes, tail: bytes) -> None:
    try:
        archive = open_archive(memoryview(b"PK\3\4" + body + b"PK\5\6" + tail))
        for name in archive.entries:
            archive.read(name)
    except ValueError as error:
        assert "\n" not in str(error)
