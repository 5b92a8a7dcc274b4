"""Each format is recognised by its content and read as it stands; damage is named with its
place.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgernn.data.pictures.caption_file import CaptionFile, CaptionRecord
from edgernn.data.pictures.caption_formats import FORMATS, recognise
from edgernn.errors import DataError

COCO = {
    "info": {"year": 2014},
    "images": [
        {"id": 9, "file_name": "b.jpg", "width": 3},
        {"id": "x", "file_name": "val/a.jpg", "filepath": "val2014"},
        {"id": 3, "file_name": "none.jpg"},
    ],
    "annotations": [
        {"id": 1, "image_id": "x", "caption": "A cat ."},
        {"id": 2, "image_id": 9, "caption": "Two dogs\n"},
        {"id": 3, "image_id": "x", "caption": ""},
    ],
}
KARPATHY = {
    "dataset": "flickr8k",
    "images": [
        {
            "filename": "a.jpg",
            "split": "train",
            "sentences": [{"raw": "A cat.", "tokens": ["a", "cat"]}],
        },
        {
            "filename": "b.jpg",
            "filepath": "val2014",
            "split": "restval",
            "sentences": [{"tokens": ["a", "dog"]}],
        },
        {"filename": "c.jpg", "split": "val", "sentences": [{"raw": "One ."}, {"raw": "Two ."}]},
        {"filename": "d.jpg", "split": "test", "sentences": []},
    ],
}
JSONL = """{"image": "a.jpg", "caption": "A cat."}

{"image": "sub/b.jpg", "captions": ["One, two.", "Three."], "split": "val"}
{"image": "c.jpg", "captions": [], "split": null}
"""
FLICKR8K = "1_a.jpg#0\tA cat , sitting .\n1_a.jpg#1\tA #1 cat\n\n2_b.jpg#0\t\n"
CSV = """image,caption
a.jpg,A cat.
a.jpg,"A cat, ""black"".
On two lines."

b.jpg,
"""


def file_of(text: str | bytes, tmp_path: Path) -> CaptionFile:
    path = tmp_path / "file.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CaptionFile(path)


def read(text: str | bytes, tmp_path: Path) -> list[CaptionRecord]:
    file = file_of(text, tmp_path)
    row = recognise(file)
    assert row is not None
    return list(row.read(file))


def told(text: str | bytes, tmp_path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read(text, tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(tmp_path / "file.txt"))
    return message


EXAMPLES = {
    "coco": json.dumps(COCO),
    "karpathy": json.dumps(KARPATHY, indent=1),
    "jsonl": JSONL,
    "flickr8k": FLICKR8K,
    "csv": CSV,
}


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    "change",
    [
        str,
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n" + text,
    ],
)
def test_the_content_says_the_format(name: str, change: object, tmp_path: Path) -> None:
    assert callable(change)
    file = file_of(change(EXAMPLES[name]), tmp_path)
    assert [row.name for row in FORMATS if row.recognises(file)] == [name]
    plain = read(EXAMPLES[name], tmp_path)
    changed = read(change(EXAMPLES[name]), tmp_path)
    assert [(each.image, [text.split() for text in each.captions]) for each in changed] == [
        (each.image, [text.split() for text in each.captions]) for each in plain
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "hello",
        "[]",
        "{}",
        "7",
        '{"images": []}',
        '{"images": [], "annotations": [{"bbox": []}]}',
        "a,b\n1,2\n",
        "image\n",
    ],
)
def test_other_content_is_of_no_format(text: str, tmp_path: Path) -> None:
    assert recognise(file_of(text, tmp_path)) is None


def test_coco(tmp_path: Path) -> None:
    assert read(json.dumps(COCO), tmp_path) == [
        CaptionRecord("b.jpg", ("Two dogs\n",), None, "", "images[0]"),
        CaptionRecord("val/a.jpg", ("A cat .", ""), None, "val2014", "images[1]"),
        CaptionRecord("none.jpg", (), None, "", "images[2]"),
    ]


def test_karpathy(tmp_path: Path) -> None:
    assert read(json.dumps(KARPATHY), tmp_path) == [
        CaptionRecord("a.jpg", ("A cat.",), "train", "", "images[0]"),
        CaptionRecord("b.jpg", ("a dog",), "train", "val2014", "images[1]"),
        CaptionRecord("c.jpg", ("One .", "Two ."), "validation", "", "images[2]"),
        CaptionRecord("d.jpg", (), "test", "", "images[3]"),
    ]


def test_json_lines(tmp_path: Path) -> None:
    assert read(JSONL, tmp_path) == [
        CaptionRecord("a.jpg", ("A cat.",), None, "", "line 1"),
        CaptionRecord("sub/b.jpg", ("One, two.", "Three."), "validation", "", "line 3"),
        CaptionRecord("c.jpg", (), None, "", "line 4"),
    ]
    assert read('{"image": "a.jpg", "caption": "One line."}', tmp_path)[0].captions == (
        "One line.",
    )


def test_flickr8k(tmp_path: Path) -> None:
    assert [(record.image, record.captions) for record in read(FLICKR8K, tmp_path)] == [
        ("1_a.jpg", ("A cat , sitting .",)),
        ("1_a.jpg", ("A #1 cat",)),
        ("2_b.jpg", ("",)),
    ]


def test_a_line_ends_at_a_newline_alone(tmp_path: Path) -> None:
    assert read("a.jpg#0\tone\u2028two\x85three\x0cfour\n", tmp_path)[0].captions == (
        "one\u2028two\x85three\x0cfour",
    )


def test_csv(tmp_path: Path) -> None:
    assert [(record.image, record.captions, record.place) for record in read(CSV, tmp_path)] == [
        ("a.jpg", ("A cat.",), "line 2"),
        ("a.jpg", ('A cat, "black".\nOn two lines.',), "line 3"),
        ("b.jpg", ("",), "line 6"),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_csv_columns(mark: str, tmp_path: Path) -> None:
    text = 'Split;id; Caption ;"IMAGE"\ntest;1;A cat;a.jpg\n;2;A dog;b.jpg\nrestval;3;A cow;c.jpg\n'
    records = read(text.replace(";", mark), tmp_path)
    assert [(record.image, *record.captions, record.split) for record in records] == [
        ("a.jpg", "A cat", "test"),
        ("b.jpg", "A dog", None),
        ("c.jpg", "A cow", "train"),
    ]


def test_damaged_csv_names_the_line(tmp_path: Path) -> None:
    assert "line 3: it has 3 columns, the header 2; put quotes around" in told(
        "image,caption\na,b\na,b,c\n", tmp_path
    )
    assert "line 2: it has 1 columns" in told("image,caption\na\n", tmp_path)
    assert "line 3: it is damaged CSV: unexpected end of data" in told(
        'image,caption\na,b\na,"b\nc,d\n', tmp_path
    )
    assert "line 2: the split 'x' is unknown, expected one of train, restval," in told(
        "image,caption,split\na,b,x\n", tmp_path
    )


def test_damaged_lines_name_the_line(tmp_path: Path) -> None:
    good = '{"image": "a", "caption": "b"}\n'
    assert "line 2: it is damaged JSON: " in told(good + '{"image": \n', tmp_path)
    assert "line 3: the field 'image' is missing, expected str" in told(good + "\n[1]\n", tmp_path)
    assert "line 2: the field 'image' is '7', expected str" in told(
        good + '{"image": 7, "caption": "b"}', tmp_path
    )
    assert "line 2: the field 'caption' is missing" in told(good + '{"image": "a"}', tmp_path)
    assert "line 2: '7' is no text" in told(good + '{"image": "a", "captions": ["b", 7]}', tmp_path)
    assert "line 2: the split 'x' is unknown" in told(
        good + '{"image": "a", "caption": "b", "split": "x"}', tmp_path
    )
    assert "line 2: 'b.jpg A dog' is not of the form name.jpg#0, a tab" in told(
        "a.jpg#0\tA cat\nb.jpg A dog\n", tmp_path
    )


def changed(document: dict[str, object], path: list[str | int], value: object) -> str:
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(copy)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["images", 0], {}, "images[0]: the field 'id' is missing, expected int or str"),
        (["images", 0], 7, "images[0]: the field 'id' is missing"),
        (["images", 0, "id"], True, "images[0]: the field 'id' is 'True', expected int or str"),
        (
            ["images", 0, "file_name"],
            None,
            "images[0]: the field 'file_name' is missing, expected str",
        ),
        (["images", 1, "filepath"], 7, "images[1]: the field 'filepath' is '7'"),
        (["images", 1, "id"], 9, "images[1]: the id 9 is there twice"),
        (["annotations", 1], None, "annotations[1]: the field 'image_id' is missing"),
        (["annotations", 1, "image_id"], 5, "annotations[1]: the image_id 5 is the id of no image"),
        (
            ["annotations", 1, "caption"],
            ["A dog"],
            "annotations[1]: the field 'caption' is \"['A dog']\", expected str",
        ),
    ],
)
def test_damaged_coco(path: list[str | int], value: object, problem: str, tmp_path: Path) -> None:
    assert problem in told(changed(COCO, path, value), tmp_path)


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["images", 0, "filename"], None, "images[0]: the field 'filename' is missing"),
        (["images", 0, "split"], None, "images[0]: the field 'split' is missing"),
        (["images", 0, "split"], "x", "images[0]: the split 'x' is unknown"),
        (
            ["images", 0, "sentences"],
            "A cat",
            "images[0]: the field 'sentences' is 'A cat', expected list",
        ),
        (
            ["images", 2, "sentences", 1],
            "A cat",
            "images[2].sentences[1]: the field 'tokens' is missing, expected list",
        ),
        (
            ["images", 2, "sentences", 1, "raw"],
            7,
            "images[2].sentences[1]: the field 'raw' is '7', expected str",
        ),
        (["images", 1, "sentences", 0, "tokens"], [7], "images[1].sentences[0]: '7' is no text"),
    ],
)
def test_damaged_karpathy(
    path: list[str | int], value: object, problem: str, tmp_path: Path
) -> None:
    assert problem in told(changed(KARPATHY, path, value), tmp_path)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    assert "is not UTF-8: byte 0xe9 in line 2; convert it" in told(
        "image,caption\na,caf\u00e9\n".encode("latin-1"), tmp_path
    )


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-32", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
)
def test_a_file_that_is_wide_is_named_as_what_it_is(encoding: str, tmp_path: Path) -> None:
    name = encoding.replace("-le", "le").replace("-be", "be")
    expected = (
        f"is {encoding[:6].upper()}, expected UTF-8; convert it with: iconv -f {name} -t utf-8"
    )
    assert expected in told(("image,caption\n" + "p.jpg,dog\n" * 9).encode(encoding), tmp_path)


def test_lines_may_end_with_carriage_returns(tmp_path: Path) -> None:
    for end in ("\r", "\r\n", "\n"):
        found = read(end.join(("image,caption", "a.jpg,dog", "b.jpg,cat", "")), tmp_path)
        assert [(record.image, record.captions) for record in found] == [
            ("a.jpg", ("dog",)),
            ("b.jpg", ("cat",)),
        ]


def test_the_names_of_image_folders(tmp_path: Path) -> None:
    lines = '{"file_name": "a.jpg", "text": "a dog"}\n{"file_name": "b.jpg", "text": "a cat"}\n'
    expected = [("a.jpg", ("a dog",)), ("b.jpg", ("a cat",))]
    assert [(record.image, record.captions) for record in read(lines, tmp_path)] == expected
    assert [
        (r.image, r.captions) for r in read("file_name,text\na.jpg,a dog\nb.jpg,a cat\n", tmp_path)
    ] == expected


def test_what_is_not_usable_is_left_out_where_the_file_is_read_leniently(tmp_path: Path) -> None:
    coco = {
        "images": [
            {"id": 1, "file_name": "a.jpg"},
            {"id": 1, "file_name": "a.jpg"},
            {"id": 2, "file_name": "b.jpg"},
        ],
        "annotations": [
            {"image_id": 1, "caption": "a dog"},
            {"image_id": 9, "caption": "x"},
            {"image_id": 2, "caption": None},
            {"image_id": 2, "caption": "a cat"},
        ],
    }
    path = tmp_path / "c.json"
    path.write_text(json.dumps(coco), encoding="utf-8")
    file = CaptionFile(path, lenient=True)
    row = recognise(file)
    assert row is not None
    assert [(record.image, record.captions) for record in row.read(file)] == [
        ("a.jpg", ("a dog",)),
        ("b.jpg", ("a cat",)),
    ]
    assert file.left_out == [
        "images[1]: the id 1 is there twice",
        "annotations[1]: the image_id 9 is the id of no image",
        "annotations[2]: the field 'caption' is missing, expected str",
    ]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        DataError,
        match=(
            r"cannot read the captions .*absent.csv: No such file or directory; give a caption "
            r"file"
        ),
    ):
        CaptionFile(tmp_path / "absent.csv")
