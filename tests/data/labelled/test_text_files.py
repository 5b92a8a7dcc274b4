"""Texts and labels from files: columns found or named, and each bad row told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgernn.data.labelled.text_files import read_texts
from edgernn.errors import DataError, UsageError


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'Review,stars\n"good, really",5\n\nbad,1\n'),
        ("a.csv", "stars;Review\r\n5;good, really\r\n1;bad\r\n"),
        ("a.tsv", "\ufeffReview\tstars\ngood, really\t5\nbad\t1\n"),
        ("a.jsonl", '{"Review": "good, really", "stars": 5}\n{"stars": "1", "Review": "bad"}\n'),
    ],
)
def test_every_form_reads_alike(tmp_path: Path, name: str, content: str) -> None:
    found = read_texts(written(tmp_path, name, content), label="stars")
    assert [(row.text, row.label) for row in found] == [("good, really", "5"), ("bad", "1")]


def test_places_are_lines_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'text,label\n"two\nlines",a\nb,b\n')
    assert [row.place for row in read_texts(path)] == ["line 2", "line 4"]


def test_lines_and_files_without_labels_where_none_are_needed(tmp_path: Path) -> None:
    lines = read_texts(written(tmp_path, "a.txt", "one\n\n two \n"), labelled=False)
    table = read_texts(written(tmp_path, "a.csv", "text,other\none,1\ntwo,2\n"), labelled=False)
    assert [row.text for row in lines] == [row.text for row in table] == ["one", "two"]
    assert {row.label for row in lines + table} == {""}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", "text,label\na,b\nc\n", "a.csv, line 3: it has 1 columns, the header 2"),
        ("a.csv", 'text,label\n"a,b\n', "a.csv, line 2: it is damaged CSV"),
        ("a.csv", "text,label\na,b\n ,c\n", "a.csv, line 3: text is empty"),
        ("a.csv", "text,label\na,\n", "a.csv, line 2: label is empty, expected a label"),
        ("a.csv", "text,label,label\na,b,c\n", "has two columns 'label'"),
        ("a.csv", "text,review,label\na,b,c\n", "both 'text' and 'review'.*--text-column"),
        ("a.csv", "text,x\na,b\n", "has the columns text, x, none of label.*--label-column"),
        ("a.csv", "text,label\n", "a.csv has no rows"),
        ("a.csv", "", "a.csv has no rows"),
        (
            "a.jsonl",
            '{"text": "a", "label": "b"}\n{"text"\n',
            "a.jsonl, line 2: it is damaged JSON",
        ),
        (
            "a.jsonl",
            '{"text": "a", "label": "b"}\n[1]\n',
            r"line 2: it is '\[1\]', expected an obj",
        ),
        ("a.jsonl", '{"text": 3, "label": "b"}\n', "line 1: text is '3', expected a text"),
        (
            "a.jsonl",
            '{"text": "a", "label": "b"}\n{"text": "a"}\n',
            "line 2: it has no field 'label'",
        ),
        ("a.jsonl", '{"text": "a", "label": 1.5}\n', "line 1: label is '1.5', expected a short"),
        ("a.jsonl", '{"text": "a\\ud800", "label": 1}\n', "line 1: text holds half of a surrogate"),
    ],
)
def test_a_bad_file_is_told_with_its_row(
    tmp_path: Path, name: str, content: str, told: str
) -> None:
    with pytest.raises(DataError, match=told):
        read_texts(written(tmp_path, name, content))


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nschön,gut\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8: byte 0xf6 in line 2"):
        read_texts(path)
    with pytest.raises(DataError, match=r"cannot read the texts and labels .*missing\.csv"):
        read_texts(tmp_path / "missing.csv")


def test_names_that_are_not_there_and_endings_that_are_unknown(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,label\na,b\n")
    with pytest.raises(
        UsageError, match=r"no column 'words' \(--text-column\); it has text, label"
    ):
        read_texts(path, text="words")
    with pytest.raises(UsageError, match="both the column 'label'"):
        read_texts(path, text="label")
    with pytest.raises(UsageError, match=r"ends in '.txt', expected .csv, .tsv, .jsonl"):
        read_texts(written(tmp_path, "a.txt", "a\n"))
