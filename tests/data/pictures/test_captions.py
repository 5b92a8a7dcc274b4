"""Captions find their pictures, and nothing but them; every picture gets a split that nothing but
its name decides.
"""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from edgernn.data.pictures.caption_splits import assign_splits
from edgernn.data.pictures.captions import CaptionCorpus, CaptionedPicture, read_captions
from edgernn.errors import DataError, UsageError

ROWS = "image,caption\na.jpg,A cat.\nb.jpg,A dog.\na.jpg,A black cat.\n"


def corpus_folder(
    folder: Path,
    text: str = ROWS,
    *,
    name: str = "captions.csv",
    pictures: tuple[str, ...] = ("a.jpg", "b.jpg"),
) -> Path:
    """Write a caption file and empty files for its pictures; return the caption file."""
    for picture in pictures:
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).touch()
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def told(source: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read_captions(source, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_captions_of_a_picture_stand_together(tmp_path: Path) -> None:
    corpus = read_captions(corpus_folder(tmp_path))
    assert corpus == CaptionCorpus(
        (
            CaptionedPicture(tmp_path / "a.jpg", ("A cat.", "A black cat."), None, "a.jpg"),
            CaptionedPicture(tmp_path / "b.jpg", ("A dog.",), None, "b.jpg"),
        ),
        "csv",
        (),
        0,
    )


def test_captions_are_tidied_and_blank_ones_left_out(tmp_path: Path) -> None:
    text = 'image,caption\na.jpg,"  A \n cat. "\na.jpg,\nb.jpg, \u00a0 \nc.jpg,A cow.\n'
    corpus = read_captions(corpus_folder(tmp_path, text, pictures=("a.jpg", "c.jpg")))
    assert [(picture.name, picture.captions) for picture in corpus.pictures] == [
        ("a.jpg", ("A cat.",)),
        ("c.jpg", ("A cow.",)),
    ]
    assert (corpus.empty, corpus.missing) == (2, ())


def test_nothing_but_blank_captions(tmp_path: Path) -> None:
    assert "has no caption (2 are blank); give a file with captions" in told(
        corpus_folder(tmp_path, "image,caption\na.jpg,\nb.jpg,\n")
    )
    assert "has no caption (0 are blank)" in told(corpus_folder(tmp_path, "image,caption\n"))


def test_splits_of_the_file_are_kept(tmp_path: Path) -> None:
    document = {
        "images": [
            {"filename": "a.jpg", "split": "restval", "sentences": [{"raw": "A cat."}]},
            {"filename": "b.jpg", "split": "val", "sentences": [{"raw": "A dog."}]},
        ]
    }
    corpus = read_captions(corpus_folder(tmp_path, json.dumps(document), name="dataset.json"))
    assert corpus.format == "karpathy"
    assert [picture.split for picture in corpus.pictures] == ["train", "validation"]
    assert assign_splits(corpus, validation_fraction=0.5) == corpus.pictures


def test_one_picture_in_two_splits(tmp_path: Path) -> None:
    text = "image,caption,split\na.jpg,A cat.,train\na.jpg,A cat.,test\n"
    assert "line 3: a.jpg is in split test, and in train before" in told(
        corpus_folder(tmp_path, text)
    )


@pytest.mark.parametrize("folder", [".", "images", "Images", "Flicker8k_Dataset"])
def test_pictures_beside_the_file_or_in_a_known_folder(folder: str, tmp_path: Path) -> None:
    corpus = read_captions(corpus_folder(tmp_path, pictures=(f"{folder}/a.jpg", f"{folder}/b.jpg")))
    assert [picture.path for picture in corpus.pictures] == [
        tmp_path / folder / "a.jpg",
        tmp_path / folder / "b.jpg",
    ]


def test_pictures_in_the_folder_of_the_record(tmp_path: Path) -> None:
    document = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "filepath": "val2014"},
            {"id": 2, "file_name": "train2014/b.jpg"},
        ],
        "annotations": [{"image_id": 1, "caption": "A cat."}, {"image_id": 2, "caption": "A dog."}],
    }
    file = corpus_folder(
        tmp_path / "coco",
        json.dumps(document),
        name="c.json",
        pictures=("val2014/a.jpg", "images/train2014/b.jpg"),
    )
    corpus = read_captions(file)
    assert [picture.path.relative_to(tmp_path).as_posix() for picture in corpus.pictures] == [
        "coco/val2014/a.jpg",
        "coco/images/train2014/b.jpg",
    ]
    assert [picture.name for picture in corpus.pictures] == ["a.jpg", "train2014/b.jpg"]


def test_pictures_in_a_folder_of_their_own(tmp_path: Path) -> None:
    file = corpus_folder(tmp_path / "texts")
    own = corpus_folder(tmp_path / "own", pictures=("a.jpg",)).parent
    assert "1 of 2 pictures" in told(file, images=own)
    assert read_captions(file, images=own, on_missing="skip").pictures[0].path == own / "a.jpg"
    assert "there is no folder" in told(file, images=tmp_path / "absent")


def test_missing_pictures_are_counted_and_named(tmp_path: Path) -> None:
    text = "image,caption\n" + "".join(f"{name}.jpg,A thing.\n" for name in "vwxyz")
    file = corpus_folder(tmp_path, text, pictures=("v.jpg",))
    message = told(file)
    assert "4 of 5 pictures of" in message
    assert "are missing (w.jpg, x.jpg, y.jpg, ...); looked in" in message
    corpus = read_captions(file, on_missing="skip")
    assert [picture.name for picture in corpus.pictures] == ["v.jpg"]
    assert corpus.missing == ("w.jpg", "x.jpg", "y.jpg", "z.jpg")
    (tmp_path / "v.jpg").unlink()
    assert "5 of 5 pictures" in told(file, on_missing="skip")


def test_a_folder_is_no_picture_and_neither_is_a_name_too_long(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").mkdir()
    text = f"image,caption\na.jpg,A cat.\nb.jpg,A dog.\n{'x' * 5000}.jpg,A cow.\n"
    corpus = read_captions(corpus_folder(tmp_path, text, pictures=("a.jpg",)), on_missing="skip")
    assert [name[:5] for name in corpus.missing] == ["b.jpg", "xxxxx"]


@pytest.mark.parametrize(
    "name",
    [
        "/etc/hostname",
        "../a.jpg",
        "x/../../a.jpg",
        "C:\\a.jpg",
        "..\\a.jpg",
        "\\\\host\\share\\a.jpg",
        "C:a.jpg",
    ],
)
def test_names_that_lead_outside(name: str, tmp_path: Path) -> None:
    file = corpus_folder(
        tmp_path / "in", json.dumps({"image": name, "caption": "A cat."}), name="c.jsonl"
    )
    (tmp_path / "a.jpg").touch()
    assert "line 1: the picture " in told(file, on_missing="skip")
    assert "lies outside the folder of the pictures" in told(file)
    document = {
        "images": [
            {
                "filename": "a.jpg",
                "filepath": name,
                "split": "train",
                "sentences": [{"raw": "A cat."}],
            }
        ]
    }
    assert "lies outside" in told(
        corpus_folder(tmp_path / "in", json.dumps(document), name="c.json")
    )


def test_names_and_texts_that_no_file_system_holds(tmp_path: Path) -> None:
    def line(image: str, caption: str) -> Path:
        return corpus_folder(
            tmp_path, json.dumps({"image": image, "caption": caption}), name="c.jsonl"
        )

    assert "line 1: the name of the picture is empty" in told(line("", "A cat."))
    assert "line 1: the picture 'a\\x00.jpg' lies outside" in told(line("a\0.jpg", "A cat."))
    assert "line 1: a text holds half of a surrogate pair" in told(line("a\ud800.jpg", "A cat."))
    assert "half of a surrogate pair" in told(line("a.jpg", "A \udc00 cat."))
    assert read_captions(line("a.jpg", "A \U0001f600 cat.")).pictures[0].captions == (
        "A \U0001f600 cat.",
    )


def test_a_folder_that_holds_one_caption_file(tmp_path: Path) -> None:
    corpus_folder(tmp_path, name="text.csv")
    (tmp_path / "README.txt").write_text("About these pictures.")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / ".hidden.csv").write_text(ROWS)
    (tmp_path / "notes.md").write_text(ROWS)
    assert read_captions(tmp_path).format == "csv"
    corpus_folder(tmp_path, "a.jpg#0\tA cat.\n", name="second.txt")
    assert (
        "must hold exactly one caption file, and has 2: second.txt, text.csv; give the file itself"
        in told(tmp_path)
    )
    corpus_folder(tmp_path, "a.jpg#0\tA cat.\n", name="captions.txt")
    assert read_captions(tmp_path).format == "flickr8k"
    corpus_folder(tmp_path, name="captions.csv")
    assert "has 2: captions.csv, captions.txt" in told(tmp_path)
    assert "must hold exactly one caption file, and has none" in told(
        corpus_folder(tmp_path / "other", name="x.md").parent
    )


def test_files_of_no_format(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    assert "cannot read the captions" in told(path)
    path.write_text("")
    assert "is empty; give a file with captions" in told(path)
    path.write_text("hello\n")
    assert "begins with 'hello', which is no caption format; give COCO or Karpathy JSON" in told(
        path
    )
    path.write_text(
        '{"images": [{"id": 1, "file_name":\n "a.jpg"}], "annotations": [{"image_id": 1, "capt'
    )
    assert "is damaged JSON: Unterminated string starting at: line 2 column" in told(path)
    path.write_text("[" * 100_000)
    assert "is damaged JSON: " in told(path)
    path.write_text('{"images": [], "annotations": [{"bbox": [1]}]}')
    assert "which is no caption format" in told(path)


def test_neither_error_nor_skip(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="on_missing is 'drop'; expected one of error, skip"):
        read_captions(corpus_folder(tmp_path), on_missing="drop")  # type: ignore[arg-type]


def test_a_picture_without_a_name_has_that_of_its_file() -> None:
    assert CaptionedPicture(Path("in/a.jpg"), ("A cat.",), None).name == "a.jpg"


def test_a_link_to_a_folder_of_pictures_is_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    corpus_folder(elsewhere)
    file = corpus_folder(tmp_path / "here", pictures=())
    (file.parent / "images").symlink_to(elsewhere)
    assert [picture.path for picture in read_captions(file).pictures] == [
        file.parent / "images" / name for name in ("a.jpg", "b.jpg")
    ]


NAME = "h\u00e4us.jpg"


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_names_are_equal_in_every_normal_form(written: str, on_disk: str, tmp_path: Path) -> None:
    folder = tmp_path / "images" / unicodedata.normalize(on_disk, "\u00fc")
    folder.mkdir(parents=True)
    (folder / unicodedata.normalize(on_disk, NAME)).touch()
    name = unicodedata.normalize(written, f"\u00fc/{NAME}")
    (tmp_path / "c.csv").write_text(f"image,caption\n{name},a house\n", encoding="utf-8")
    (picture,) = read_captions(tmp_path / "c.csv").pictures
    assert picture.path == folder / unicodedata.normalize(on_disk, NAME)


def test_a_picture_that_is_spelled_two_ways_is_one(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    lines = [f"{unicodedata.normalize(form, NAME)},a house" for form in ("NFC", "NFD")]
    (tmp_path / "c.csv").write_text("\n".join(["image,caption", *lines]), encoding="utf-8")
    (picture,) = read_captions(tmp_path / "c.csv").pictures
    assert picture.captions == ("a house", "a house")


def test_json_lines_of_other_fields_are_named(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_text(
        '{"url": "a", "alt": "b"}\n{"url": "c", "alt": "d"}\n', encoding="utf-8"
    )
    assert "is JSON Lines with the fields url, alt; expected image and caption" in told(
        tmp_path / "c.jsonl"
    )


def test_entries_that_refer_to_nothing_are_left_out_with_missing_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    annotations = [{"image_id": 1, "caption": "a dog"}, {"image_id": 9, "caption": "x"}]
    document = {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": annotations}
    (tmp_path / "c.json").write_text(json.dumps(document), encoding="utf-8")
    assert "the image_id 9 is the id of no image" in told(tmp_path / "c.json")
    corpus = read_captions(tmp_path / "c.json", on_missing="skip")
    assert [picture.name for picture in corpus.pictures] == ["a.jpg"]
    assert corpus.unusable == ("annotations[1]: the image_id 9 is the id of no image",)
