"""Questions about pictures, with their answers, read from a file of JSON Lines.

    {"image": "kitchen.jpg", "question": "What colour is the cup?", "answer": "red"}

A row may also have ``split``: train, validation or test. Pictures are looked for as those of
captions are: in one folder, never outside it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import get_args

from edgernn.data.pictures.caption_file import CaptionFile, CaptionRecord, parse
from edgernn.data.pictures.caption_formats import SPLITS
from edgernn.data.pictures.captions import OnMissing, check_name
from edgernn.data.pictures.picture_search import locate, names_in
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of, some

_IMAGE, _QUESTION, _ANSWER, _SPLIT = "image", "question", "answer", "split"
_IMAGE_FOLDERS = ("", "images", "Images")
Asked = tuple[str, str]  # a question and its answer


@dataclass(frozen=True)
class AskedPicture:
    """A picture file and what is asked about it.

    Attributes:
        path: the file.
        name: the picture as the file of questions spells it.
        asked: one or more questions, each with its answer, both of one line and not blank.
        split: one of ``SPLITS``, or None where the file names none.
    """

    path: Path
    name: str
    asked: tuple[Asked, ...]
    split: str | None


@dataclass(frozen=True)
class QuestionCorpus:
    """What a file of questions holds.

    Attributes:
        pictures: in the order of the file, each one once.
        missing: the pictures left out because no file of that name was found.
        unusable: what was wrong with the rows that were left out, each with its place in the file.
    """

    pictures: tuple[AskedPicture, ...]
    missing: tuple[str, ...]
    unusable: tuple[str, ...]


def read_questions(
    source: Path, *, images: Path | None = None, on_missing: OnMissing = "error"
) -> QuestionCorpus:
    """Read a file of questions and find its pictures.

    Args:
        source: JSON Lines, a row a question.
        images: the folder of the pictures; by default that of the file, then its subfolders
            ``images`` and ``Images``.
        on_missing: what to do with questions about pictures that are not there, and with rows that
            lack what they must have: raise, or leave them out.

    Raises:
        DataError: the file is missing or damaged; a row lacks something, named with its line; a
            picture lies outside the folder or is missing; or nothing is left.
        UsageError: ``on_missing`` is neither.
    """
    if on_missing not in get_args(OnMissing):
        raise UsageError(
            f"on_missing is {on_missing!r}; {expected_one_of(on_missing, get_args(OnMissing))}"
        )
    if images is not None and not images.is_dir():
        raise DataError(f"there is no folder {images}; give that of the pictures by --images")
    file = CaptionFile(source, lenient=on_missing == "skip", holds="question")
    merged = _merge(file)
    if not merged:
        unusable = f": {file.left_out[0]}" if file.left_out else ""
        raise DataError(
            f"{source} has no question{unusable}; give a line each of "
            '{"image": …, "question": …, "answer": …}'
        )
    folders = [images] if images else [source.parent / name for name in _IMAGE_FOLDERS]
    found, missing, listed = list[AskedPicture](), list[str](), cache(names_in)
    for record, asked in merged:
        path = locate(record, folders, listed)
        if path is None:
            missing.append(record.image)
        else:
            found.append(AskedPicture(path, record.image, asked, record.split))
    if missing and (on_missing == "error" or not found):
        raise DataError(_missing_words(source, missing, len(merged), folders))
    return QuestionCorpus(tuple(found), tuple(missing), tuple(file.left_out))


def _missing_words(
    source: Path, missing: Sequence[str], count: int, folders: Sequence[Path]
) -> str:
    looked = ", ".join(str(folder) for folder in folders if folder.is_dir())
    return (
        f"{len(missing)} of {count} pictures of {source} are missing ({some(missing)}); looked in "
        f"{looked}; give their folder by --images, or leave them out by --on-missing skip"
    )


def _merge(file: CaptionFile) -> list[tuple[CaptionRecord, tuple[Asked, ...]]]:
    """Join the rows of one picture; return what is said of each, and what is asked about it."""
    first: dict[str, CaptionRecord] = {}
    asked: dict[str, list[Asked]] = {}
    for record in _rows(file):
        key = unicodedata.normalize("NFC", record.image)
        known = first.setdefault(key, replace(record, captions=()))
        if known.split != record.split:
            raise file.error(
                record.place,
                f"{record.image} is in split {record.split}, and in {known.split} before",
            )
        question, answer = record.captions
        asked.setdefault(key, []).append((question, answer))
    return [(record, tuple(asked[key])) for key, record in first.items()]


def _rows(file: CaptionFile) -> Iterator[CaptionRecord]:
    """Yield the rows, each with its question and its answer as its texts."""
    yield from file.each(file.lines(), lambda entry: _row(file, f"line {entry[0]}", entry[1]))


def _row(file: CaptionFile, place: str, line: str) -> CaptionRecord:
    found = parse(line)
    if isinstance(found, Exception):
        raise file.error(place, f"it is damaged JSON: {found}") from found
    if not isinstance(found, dict):
        raise file.error(place, f"{line[:40]!r} is no JSON object")
    texts = {}
    for name in (_IMAGE, _QUESTION, _ANSWER):
        value = found.get(name)
        if not isinstance(value, str) or not value.strip():
            seen = f"is {value!r}"[:50] if name in found else "is missing"
            raise file.error(place, f"the field {name!r} {seen}, expected a text")
        texts[name] = value if name == _IMAGE else " ".join(value.split())
    split = found.get(_SPLIT)
    if split is not None and split not in SPLITS:
        raise file.error(
            place, f"the split {split!r} is unknown, expected one of {', '.join(SPLITS)}"
        )
    record = CaptionRecord(texts[_IMAGE], (texts[_QUESTION], texts[_ANSWER]), split, "", place)
    check_name(file, record)
    return record
