"""Places: files are written whole or not at all, wherever they lie."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

import fsspec

from edgernn.batch.places import Place
from edgernn.errors import StorageError


@pytest.mark.parametrize("where", ["local", "memory"])
def test_of_two_that_make_a_file_one_does(where: str, tmp_path: Path) -> None:
    place = Place.of(str(tmp_path / "plan") if where == "local" else "memory://places/plan")
    assert [place.create(b"one"), place.create(b"other")] == [True, False]
    assert place.read() == b"one"
    folder = place.path.rpartition("/")[0]
    assert [each.rpartition("/")[2] for each in place.filesystem.ls(folder, detail=False)] == [
        "plan"
    ]


def test_a_store_that_is_full_keeps_nothing_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    whole, place = type(memory).pipe_file, Place.of("memory://full/part-00000.parquet")

    def full(self: Any, path: str, value: bytes, **options: Any) -> None:
        whole(self, path, value[:2], **options)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(memory), "pipe_file", full)
    line = r"^cannot write memory://full/part-00000.parquet \(.*No space left.*\); Free some space"
    with pytest.raises(StorageError, match=line):
        place.write(b"content")
    with pytest.raises(StorageError, match=line):
        place.create(b"content")
    assert memory.find("/full") in ([], ["/full/part-00000.parquet"])


@pytest.mark.parametrize("refusal", [NotImplementedError, TypeError])
def test_a_store_that_creates_nothing_exclusively_is_written_to(
    refusal: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place.of(f"memory://plain-{refusal.__name__}/plan")
    whole = type(place.filesystem).pipe_file

    def plain(self: Any, path: str, value: bytes, **options: Any) -> None:
        if options:
            raise refusal("mode")
        whole(self, path, value)

    monkeypatch.setattr(type(place.filesystem), "pipe_file", plain)
    assert place.create(b"one")
    assert place.read() == b"one"
