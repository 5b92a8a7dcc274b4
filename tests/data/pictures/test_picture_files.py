"""The files of a picture set are checked before a single pixel is trusted."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from edgernn.data.pictures.picture_files import map_pictures, read_description, write_header
from edgernn.errors import DataError

GOOD = {
    "version": 1,
    "size": 2,
    "source": "tests",
    "splits": {"train": [0, 2], "test": [2, 3]},
    "names": ["a", "b", "c"],
    "captions": [["one"], ["two", "three"], ["four"]],
}


def told(path: Path, content: object) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError) as caught:
        read_description(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_description_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "pictures.json"
    path.write_text(json.dumps(GOOD))
    assert read_description(path) == GOOD
    path.write_text(json.dumps({**GOOD, "splits": {"train": [0, 3], "validation": [3, 3]}}))
    assert read_description(path)["splits"]["validation"] == [3, 3]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"version": 2}, "has version 2, expected 1"),
        ({"size": 0}, "no valid size"),
        ({"size": True}, "no valid size"),
        ({"size": "2"}, "no valid size"),
        ({"source": None}, "no valid source"),
        ({"names": [], "captions": [], "splits": {}}, "no valid names"),
        ({"names": ["a", "b"]}, "no valid captions, splits for 2 pictures"),
        ({"names": ["a", "b", 3]}, "no valid names, captions, splits"),
        ({"captions": [["one"], [], ["four"]]}, "no valid captions"),
        ({"captions": [["one"], "two", ["four"]]}, "no valid captions"),
        ({"captions": [["one"], ["two"], [4]]}, "no valid captions"),
        ({"splits": [0, 3]}, "no valid splits"),
        ({"splits": {"train": [0, 2]}}, "no valid splits"),
        ({"splits": {"train": [0, 2], "test": [1, 3]}}, "no valid splits"),
        ({"splits": {"train": [0, 4], "test": [4, 3]}}, "no valid splits"),
        ({"splits": {"train": [0, 1, 3]}}, "no valid splits"),
        ({"splits": {"train": [False, 3]}}, "no valid splits"),
        ({"splits": {"train": 3}}, "no valid splits"),
    ],
)
def test_a_description_that_does_not_fit(
    change: dict[str, object], wrong: str, tmp_path: Path
) -> None:
    message = told(tmp_path / "pictures.json", {**GOOD, **change})
    assert wrong in message
    assert message.endswith("make the set again")


def test_what_is_no_description(tmp_path: Path) -> None:
    path = tmp_path / "pictures.json"
    with pytest.raises(
        DataError,
        match=r"no picture set in .*: No such file or directory \(pictures.json\); make it again",
    ):
        read_description(path)
    for content in ("", "{", "[" * 100_000):
        assert "is damaged: " in told(path, content)
    assert "has version None" in told(path, "[]")


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)


def test_pictures_that_fit(tmp_path: Path) -> None:
    path = tmp_path / "pictures.npy"
    path.write_bytes(npy(PIXELS))
    mapped = map_pictures(path, 2, 2)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    assert np.array_equal(mapped, PIXELS)


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (npy(PIXELS)[:-1], "is damaged: "),
        (npy(PIXELS) + b"x", "has 153 bytes, expected 152"),
        (npy(PIXELS)[:20], "is damaged: "),
        (b"", "is damaged: "),
        (npy(PIXELS)[:10] + b"[" * 118 + bytes(24), "is damaged: "),
        (npy(PIXELS)[:10] + b"(" * 118 + bytes(24), "is damaged: "),
        (
            npy(PIXELS.astype(np.int8)),
            r"holds int8 [2, 2, 2, 3], but pictures.json promises uint8 [2, 2, 2, 3]",
        ),
        (npy(PIXELS[:1]), r"holds uint8 [1, 2, 2, 3]"),
        (npy(PIXELS.astype(">f8")), "holds >f8"),
        (npy(np.asfortranarray(PIXELS)), "holds uint8"),
        (npy(np.array([None])), "is damaged: "),
    ],
)
def test_pictures_that_do_not_fit(content: bytes, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "pictures.npy"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        map_pictures(path, 2, 2)
    assert wrong in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_pictures(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=r"cannot read .*pictures.npy: No such file or directory; make the set again",
    ):
        map_pictures(tmp_path / "pictures.npy", 2, 2)


def test_the_header_is_of_one_length() -> None:
    lengths = set()
    for count in (0, 9, 12_345, 10**12):
        buffer = io.BytesIO()
        write_header(buffer, count, 224)
        lengths.add(buffer.tell())
    assert len(lengths) == 1
