"""Picture files decoded once into a set, and what is done with those that cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgernn.data.pictures import picture_decoding
from edgernn.data.pictures.caption_splits import assign_splits
from edgernn.data.pictures.captions import CaptionedPicture, read_captions
from edgernn.data.pictures.picture_decoding import encode_corpus
from edgernn.data.pictures.pictures import load_picture
from edgernn.errors import DataError, UsageError


def files(folder: Path, names: str, *, damaged: str = "") -> list[CaptionedPicture]:
    """Write a picture for each letter; capitals are for validation."""
    pictures = []
    for index, name in enumerate(names):
        path = folder / f"{name}.png"
        Image.new("RGB", (20, 10), (index, 0, 0)).save(path)
        if name in damaged:
            path.write_bytes(path.read_bytes()[:50])
        pictures.append(
            CaptionedPicture(
                path, (f"Picture {name}.",), "validation" if name.isupper() else "train"
            )
        )
    return pictures


def test_files_become_a_set_ordered_by_split(tmp_path: Path) -> None:
    pictures = files(tmp_path, "aBcDe")
    told: list[str] = []
    made = encode_corpus(pictures, tmp_path / "set", size=6, source="drawn", tell=told.append)
    assert made.names == ("a.png", "c.png", "e.png", "B.png", "D.png")
    assert made.captions[3] == ("Picture B.",)
    assert dict(made.splits) == {"train": range(3), "validation": range(3, 5)}
    assert np.array_equal(made.pictures[4], load_picture(tmp_path / "D.png", 6))
    assert (made.size, made.source) == (6, "drawn")
    assert told == ["5 pictures decoded"]


def test_an_unreadable_picture_is_an_error(tmp_path: Path) -> None:
    pictures = files(tmp_path, "abC", damaged="b")
    with pytest.raises(
        DataError, match=r"b\.png is damaged or cannot be decoded|b\.png is no picture"
    ):
        encode_corpus(pictures, tmp_path / "set", size=6, source="drawn", tell=print)
    assert not (tmp_path / "set").exists()


def test_unreadable_pictures_are_left_out_and_counted(tmp_path: Path) -> None:
    pictures = files(tmp_path, "abcdeFGH", damaged="abdeG")
    told: list[str] = []
    made = encode_corpus(
        pictures, tmp_path / "set", size=6, source="drawn", on_unreadable="skip", tell=told.append
    )
    assert made.names == ("c.png", "F.png", "H.png")
    assert dict(made.splits) == {"train": range(1), "validation": range(1, 3)}
    assert np.array_equal(made.pictures[1], load_picture(tmp_path / "F.png", 6))
    assert told == ["3 pictures decoded, 5 left out that cannot be: a.png, b.png, d.png, ..."]


def test_a_split_of_unreadable_pictures(tmp_path: Path) -> None:
    pictures = files(tmp_path, "abCD", damaged="CD")
    with pytest.raises(
        DataError,
        match=r"none of the 2 pictures for validation can be decoded \(C\.png, D\.png\); give",
    ):
        encode_corpus(
            pictures, tmp_path / "set", size=6, source="drawn", on_unreadable="skip", tell=print
        )


def test_progress_is_told_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_decoding, "_TOLD_EVERY", 2)
    told: list[str] = []
    encode_corpus(
        files(tmp_path, "abCDe"), tmp_path / "set", size=6, source="drawn", tell=told.append
    )
    assert told == ["2 of 5 pictures decoded", "4 of 5 pictures decoded", "5 pictures decoded"]


def test_pictures_without_a_split(tmp_path: Path) -> None:
    pictures = [CaptionedPicture(tmp_path / "a.png", ("A thing.",), None)]
    with pytest.raises(
        UsageError, match=r"1 pictures have no split, such as a\.png; assign splits first"
    ):
        encode_corpus(pictures, tmp_path / "set", size=6, source="drawn", tell=print)
    with pytest.raises(UsageError, match="on_unreadable is 'drop'; expected one of error, skip"):
        encode_corpus(
            [], tmp_path / "set", size=6, source="drawn", on_unreadable="drop", tell=print
        )  # type: ignore[arg-type]
    with pytest.raises(DataError, match="there is no picture to write"):
        encode_corpus([], tmp_path / "set", size=6, source="drawn", tell=print)


def test_from_a_caption_file_to_a_set(tmp_path: Path) -> None:
    pictures = files(tmp_path, "abcdefghij")
    rows = [f"{picture.name},A {picture.name}.\n" for picture in pictures]
    (tmp_path / "captions.csv").write_text("image,caption\n" + "".join(rows))
    corpus = read_captions(tmp_path)
    made = encode_corpus(
        assign_splits(corpus, validation_fraction=0.3),
        tmp_path / "set",
        size=6,
        source=tmp_path.name,
        tell=lambda text: None,
    )
    assert sorted(made.names) == sorted(picture.path.name for picture in pictures)
    assert len(made.split("train")) + len(made.split("validation")) == 10
    for index, name in enumerate(made.names):
        assert made.captions[index] == (f"A {name}.",)
        assert made.pictures[index, 0, 0, 0] == "abcdefghij".index(name[0])
