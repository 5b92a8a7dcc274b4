"""One's own clips and sentences: what a path holds is found out, and what is wrong in it named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgernn.data.clips.picture_clips import natural
from edgernn.data.clips.reading import read_tagged
from edgernn.data.clips.tagged import TaggedFrames, TaggedWords, label_ids, label_names
from edgernn.errors import DataError, UsageError

_FRAMES = np.random.default_rng(0).integers(0, 256, (2, 5, 8, 8, 3)).astype(np.uint8)


def _npz(path: Path, **arrays: Any) -> Path:
    np.savez(path / "clips.npz", **arrays)
    return path / "clips.npz"


def _pictures(folder: Path, *names: str, side: int = 8) -> None:
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (place * 10, 0, 0)).save(folder / name)


def test_an_npz_of_frames_and_labels(tmp_path: Path) -> None:
    labels = [["a", "b", "b", "a", "c"], ["c", "a", "a", "", ""]]
    found = read_tagged(_npz(tmp_path, frames=_FRAMES, labels=labels, lengths=[5, 3]))
    assert isinstance(found, TaggedFrames)
    assert [len(clip) for clip in found.sequences] == [5, 3]
    assert found.labels == (("a", "b", "b", "a", "c"), ("c", "a", "a"))
    assert np.array_equal(found.sequences[1], _FRAMES[1, :3])
    one = read_tagged(_npz(tmp_path, frames=_FRAMES[0], labels=[0, 1, 1, 0, 1], classes=["x", "y"]))
    assert one.labels == (("x", "y", "y", "x", "y"),)
    grey = read_tagged(_npz(tmp_path, frames=_FRAMES[..., 0], labels=np.zeros((2, 5), int)))
    assert isinstance(grey, TaggedFrames)
    assert grey.sequences[0].shape == (5, 8, 8, 1)
    assert grey.labels[0] == ("0",) * 5


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"frames": _FRAMES}, "has frames and no labels"),
        ({"labels": np.zeros((2, 5), int)}, "has labels and no frames"),
        ({"frames": _FRAMES / 255, "labels": np.zeros((2, 5), int)}, "multiply parts of 1 by 255"),
        ({"frames": _FRAMES, "labels": np.zeros((2, 4), int)}, r"labels \[2, 4\] for frames"),
        ({"frames": _FRAMES, "labels": np.zeros((2, 5))}, "labels float64, expected texts or"),
        (
            {"frames": _FRAMES, "labels": np.zeros((2, 5), int), "classes": ["a", "b", "a"]},
            "classes with two 'a'; give each",
        ),
        (
            {"frames": _FRAMES, "labels": np.array([[b"a", b"\xe9", b"\xff", b"a", b"a"]] * 2)},
            r"labels with b'\\xe9', which is not UTF-8",
        ),
        (
            {"frames": _FRAMES, "labels": np.full((2, 5), 7), "classes": ["a"]},
            "the label 7, and classes names 1",
        ),
        (
            {"frames": _FRAMES, "labels": np.zeros((2, 5), int), "lengths": [5, 6]},
            "expected 2 whole numbers from 1 to 5",
        ),
    ],
)
def test_what_is_wrong_in_an_npz_is_told(tmp_path: Path, arrays: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_tagged(_npz(tmp_path, **arrays))


def test_a_folder_of_pictures_with_its_table(tmp_path: Path) -> None:
    _pictures(tmp_path, "one/f2.png", "one/f10.png", "two/f1.png")
    table = "label;file\nwalks;one/f2.png\nstops;one/f10.png\n\nwalks;two/f1.png\n"
    (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    found = read_tagged(tmp_path)
    assert isinstance(found, TaggedFrames)
    assert [clip.shape for clip in found.sequences] == [(2, 8, 8, 3), (1, 8, 8, 3)]
    assert found.labels == (("walks", "stops"), ("walks",))
    assert found.sequences[0][1, 0, 0, 0] == 10
    assert read_tagged(tmp_path, side=4).sequences[0].shape == (2, 4, 4, 3)
    assert sorted(["f10", "f2", "f1b"], key=natural) == ["f1b", "f2", "f10"]
    assert sorted(["f1²2", "f1²1"], key=natural) == ["f1²1", "f1²2"]


def test_a_table_in_each_folder(tmp_path: Path) -> None:
    for name in ("b", "a"):
        _pictures(tmp_path / name, "1.png", "2.png")
        (tmp_path / name / "labels.csv").write_text("file,label\n1.png,x\n2.png,y\n")
    assert read_tagged(tmp_path).labels == (("x", "y"), ("x", "y"))


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (None, "has no labels.csv; expected one with the columns file and label"),
        ("name,label\na.png,x\n", "line 1: the columns are name, label, expected file and label"),
        ("file,label\na.png,x,y\n", "line 2: it has 3 columns, the header 2"),
        ("file,label\na.png,x\nc.png,x\n", "line 3: there is no file"),
        ("file,label\na.png,\n", "line 2: the file is 'a.png', the label ''"),
        ("file,label\n../a.png,x\n", "line 2: the file is '../a.png', expected one below"),
        ("file,label\na.png,x\nb.png,x\n", "line 3: .* has 9 x 9 pixels, those before it 8 x 8"),
        ("file,label\n", "has no rows"),
        (f"file,label\na.png,{'x' * 200_000}\n", "line 2: it is damaged CSV: field larger than"),
    ],
)
def test_what_is_wrong_in_a_folder_is_told_with_its_row(
    tmp_path: Path, table: str | None, told: str
) -> None:
    _pictures(tmp_path, "a.png")
    _pictures(tmp_path, "b.png", side=9)
    if table is not None:
        (tmp_path / "labels.csv").write_text(table, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_tagged(tmp_path)


def test_columns_of_words_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "words.conll"
    path.write_text(
        "-DOCSTART- -X- O\n\n# text = EU rejects\nEU NNP B-ORG\nrejects VBZ O\n\n\n# NN O\n. . O",
        encoding="utf-8",
    )
    found = read_tagged(path)
    assert isinstance(found, TaggedWords)
    assert found.sequences == (("EU", "rejects"), ("#", "."))
    assert found.labels == (("B-ORG", "O"), ("O", "O"))
    path.write_bytes("\ufeffNew York\tB\r\n".encode())
    with pytest.raises(DataError, match="line 1: the word is 'New York'"):
        read_tagged(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("EU B\nrejects\n", "line 2: 'rejects' is one column"),
        ("EU B\nrejects VBZ O\n", "line 2: it has 3 columns, the first word 2"),
        ("1\tEU\tB\n2\tis\tO\n\n1\tSo\tO\n", "the numbers of the words in its first column"),
        ("\n\n", "has no words"),
        (b"EU B\xff\n", "in line 1"),
    ],
)
def test_what_is_wrong_in_columns_is_told_with_its_line(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=told):
        read_tagged(path)


def test_what_is_no_data_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none; expected an npz of frames"):
        read_tagged(tmp_path / "none")
    path = _npz(tmp_path, frames=_FRAMES).rename(tmp_path / "clips.bin")
    with pytest.raises(DataError, match="expected an npz of frames and labels, a folder"):
        read_tagged(path)
    with pytest.raises(UsageError, match="--size is for a folder of pictures"):
        read_tagged(path, side=8)


def test_long_sequences_are_cut_into_pieces_of_about_one_length() -> None:
    words = TaggedWords("x", (tuple("abcdefg"), ("h",)), (tuple("1234567"), ("8",)))
    cut = words.cut(3)
    assert cut.sequences == (("a", "b"), ("c", "d"), ("e", "f", "g"), ("h",))
    assert cut.labels == (("1", "2"), ("3", "4"), ("5", "6", "7"), ("8",))


def test_labels_are_named_once_and_a_strange_one_told_with_its_place() -> None:
    labels = [("b", "a", "a"), ("a",)]
    assert label_names(labels) == ("a", "b")
    assert [ids.tolist() for ids in label_ids(labels, ("a", "b"), source="x")] == [[1, 0, 0], [0]]
    with pytest.raises(DataError, match="step 2 of sequence 1 has the label 'c'"):
        label_ids([("a", "c")], ("a", "b"), source="x")
    with pytest.raises(DataError, match="fewer than two"):
        label_names([("a", "a")])
