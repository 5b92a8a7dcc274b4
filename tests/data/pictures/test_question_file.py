"""Questions about pictures are read from JSON Lines; what is wrong is told with its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgernn.data.pictures.question_file import read_questions
from edgernn.errors import DataError, UsageError


def write(
    folder: Path, *rows: dict[str, Any] | str, pictures: tuple[str, ...] = ("a.png",)
) -> Path:
    for name in pictures:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path = folder / "questions.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def row(image: str = "a.png", question: str = "Is it?", answer: str = "yes", **more: Any) -> Any:
    return {"image": image, "question": question, "answer": answer, **more}


def test_rows_of_one_picture_go_together(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        row(split="train"),
        row(image="b.png", split="validation"),
        row(question=" What \n colour? ", answer="dark  red", split="train"),
        pictures=("a.png", "images/b.png"),
    )
    first, second = read_questions(path).pictures
    assert first.asked == (("Is it?", "yes"), ("What colour?", "dark red"))
    assert (first.name, first.path, first.split) == ("a.png", tmp_path / "a.png", "train")
    assert second.path == tmp_path / "images" / "b.png"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ('{"image": "a.png", "question"', "line 2: it is damaged JSON"),
        ("[1]", "line 2: '[1]' is no JSON object"),
        ({"image": "a.png", "answer": "no"}, "line 2: the field 'question' is missing"),
        (row(answer=""), "line 2: the field 'answer' is '', expected a text"),
        (row(answer=3), "line 2: the field 'answer' is 3, expected a text"),
        (row(image="../a.png"), "line 2: the picture '../a.png' lies outside"),
        (row(image="/etc/passwd"), "line 2: the picture '/etc/passwd' lies outside"),
        (row(split="dev set"), "line 2: the split 'dev set' is unknown"),
        (row(split="test"), "line 2: a.png is in split test, and in None before"),
    ],
)
def test_a_bad_row_is_told_with_its_line(tmp_path: Path, wrong: Any, told: str) -> None:
    path = write(tmp_path, row(), wrong)
    with pytest.raises(DataError, match=r"questions\.jsonl, line 2") as error:
        read_questions(path)
    assert told in str(error.value)


def test_what_is_not_usable_is_left_out_where_asked(tmp_path: Path) -> None:
    path = write(tmp_path, row(), "{", row(image="gone.png"))
    found = read_questions(path, on_missing="skip")
    assert len(found.pictures) == 1 and found.missing == ("gone.png",)
    assert found.unusable[0].startswith("line 2: it is damaged JSON")


def test_missing_pictures_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, row(), row(image="gone.png"))
    with pytest.raises(
        DataError, match=r"1 of 2 pictures .* are missing \(gone.png\).*--images.*--on-missing skip"
    ):
        read_questions(path)


def test_a_file_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no question"):
        read_questions(write(tmp_path, ""))
    with pytest.raises(DataError, match="cannot read the questions"):
        read_questions(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="on_missing is 'ignore'"):
        read_questions(tmp_path / "none.jsonl", on_missing="ignore")  # type: ignore[arg-type]
