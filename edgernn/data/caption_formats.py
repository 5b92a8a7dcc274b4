"""The formats of caption files, each one a row of ``FORMATS``: its name, how its content is recognised, its reader.

    coco        {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
    karpathy    {"images": [{"filename", "filepath", "split", "sentences": [{"raw", "tokens"}]}]}
    jsonl       a line each: {"image", "caption"} or {"image", "captions": [...]}, with "split" or without
    flickr8k    a line each: name.jpg#0, a tab, the caption
    csv         columns image and caption, with split or without, apart by comma, semicolon or tab

A reader turns a file into ``CaptionRecord`` and knows nothing of pictures on a disk; ``captions`` looks for those.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgernn.errors import DataError

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
SPLITS = (TRAIN, VALIDATION, TEST)
_SPLIT_OF = {
    **dict.fromkeys((TRAIN, "restval"), TRAIN),  # Karpathy: validation pictures that all papers train on
    **dict.fromkeys((VALIDATION, "val", "valid", "dev"), VALIDATION),
    TEST: TEST,
}
_FLICKR8K_LINE = re.compile(r"([^\t]+)#\d+\t(.*)")
_DELIMITERS = ",;\t"
_IMAGE, _CAPTION, _SPLIT = "image", "caption", "split"


@dataclass(frozen=True)
class CaptionRecord:
    """What one entry of a caption file says of a picture.

    Attributes:
        image: the picture as the file spells it.
        captions: as they stand, perhaps blank.
        split: one of ``SPLITS``, or None where the file names none.
        folder: a folder that may hold the picture, or empty.
        place: where in the file it stands, for errors.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None
    folder: str
    place: str


class CaptionFile:
    """A caption file in memory.

    Attributes:
        path: where it lies.
        text: its content, without a byte order mark.
    """

    def __init__(self, path: Path) -> None:
        """Read a file.

        Raises:
            DataError: it cannot be read or is not UTF-8.
        """
        self.path = path
        try:
            content = path.read_bytes()
            self.text = content.decode("utf-8-sig")
        except OSError as error:
            raise DataError(f"cannot read the captions {path}: {error.strerror}; give a caption file") from error
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{path} is not UTF-8: byte 0x{content[error.start]:02x} in line {line}; "
                "convert it, for example with: iconv -f latin1 -t utf-8"
            ) from error

    @cached_property
    def json(self) -> Any:
        """The content as one JSON value, or the error that keeps it from being one."""
        return _parse(self.text)

    @cached_property
    def first_line(self) -> str:
        """The first line that is not blank, or an empty text."""
        return next((line for _, line in self.lines()), "")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not blank, each with its number from 1."""
        for number, line in enumerate(io.StringIO(self.text), start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")

    def error(self, place: str, problem: str) -> DataError:
        """Return the error that names a place in this file."""
        return DataError(f"{self.path}, {place}: {problem}; correct it or leave it out")


@dataclass(frozen=True)
class CaptionFormat:
    """A row of the table: a name, whether a file is of the format, and what reads it."""

    name: str
    recognises: Callable[[CaptionFile], bool]
    read: Callable[[CaptionFile], Iterator[CaptionRecord]]


def recognise(file: CaptionFile) -> CaptionFormat | None:
    """Return the format of a file by its content, or None."""
    return next((row for row in FORMATS if row.recognises(file)), None)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return error


def _is_coco(file: CaptionFile) -> bool:
    document = file.json
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        return False
    annotations = document.get("annotations")  # those of boxes and key points have no caption
    return isinstance(annotations, list) and (not annotations or any(_CAPTION in _object(each) for each in annotations))


def _read_coco(file: CaptionFile) -> Iterator[CaptionRecord]:
    captions: dict[object, list[str]] = {}
    places: dict[object, tuple[str, str, str]] = {}
    for index, image in enumerate(file.json["images"]):
        place = f"images[{index}]"
        key = _field(file, place, image, "id", (int, str))
        if key in captions:
            raise file.error(place, f"the id {key!r} is there twice")
        captions[key] = []
        places[key] = (_field(file, place, image, "file_name", str), _folder(file, place, image), place)
    for index, annotation in enumerate(file.json["annotations"]):
        place = f"annotations[{index}]"
        key = _field(file, place, annotation, "image_id", (int, str))
        if key not in captions:
            raise file.error(place, f"the image_id {key!r} is the id of no image")
        captions[key].append(_field(file, place, annotation, _CAPTION, str))
    for key, (name, folder, place) in places.items():
        yield CaptionRecord(name, tuple(captions[key]), None, folder, place)


def _is_karpathy(file: CaptionFile) -> bool:
    images = _object(file.json).get("images")
    return isinstance(images, list) and any("sentences" in _object(image) for image in images)


def _read_karpathy(file: CaptionFile) -> Iterator[CaptionRecord]:
    for index, image in enumerate(file.json["images"]):
        place = f"images[{index}]"
        name = _field(file, place, image, "filename", str)
        split = _split(file, place, _field(file, place, image, _SPLIT, str))
        sentences = _field(file, place, image, "sentences", list)
        captions = (_sentence(file, f"{place}.sentences[{number}]", each) for number, each in enumerate(sentences))
        yield CaptionRecord(name, tuple(captions), split, _folder(file, place, image), place)


def _sentence(file: CaptionFile, place: str, sentence: object) -> str:
    if "raw" in _object(sentence):
        return str(_field(file, place, sentence, "raw", str))
    return " ".join(_texts(file, place, _field(file, place, sentence, "tokens", list)))


def _is_jsonl(file: CaptionFile) -> bool:
    return _IMAGE in _object(_parse(file.first_line))


def _read_jsonl(file: CaptionFile) -> Iterator[CaptionRecord]:
    for number, line in file.lines():
        place = f"line {number}"
        record = _parse(line)
        if isinstance(record, Exception):
            raise file.error(place, f"it is damaged JSON: {record}") from record
        name = _field(file, place, record, _IMAGE, str)
        if "captions" in _object(record):
            captions = _texts(file, place, _field(file, place, record, "captions", list))
        else:
            captions = [_field(file, place, record, _CAPTION, str)]
        split = None if record.get(_SPLIT) is None else _split(file, place, _field(file, place, record, _SPLIT, str))
        yield CaptionRecord(name, tuple(captions), split, "", place)


def _is_flickr8k(file: CaptionFile) -> bool:
    return _FLICKR8K_LINE.fullmatch(file.first_line) is not None


def _read_flickr8k(file: CaptionFile) -> Iterator[CaptionRecord]:
    for number, line in file.lines():
        match = _FLICKR8K_LINE.fullmatch(line)
        if match is None:
            raise file.error(f"line {number}", f"{line[:40]!r} is not of the form name.jpg#0, a tab, the caption")
        yield CaptionRecord(match[1], (match[2],), None, "", f"line {number}")


def _is_csv(file: CaptionFile) -> bool:
    return _delimiter(file) is not None


def _delimiter(file: CaptionFile) -> str | None:
    """Return what separates the columns, which is what makes the first line a header of the names that must be there."""
    return next((mark for mark in _DELIMITERS if {_IMAGE, _CAPTION} <= set(_columns(file.first_line, mark))), None)


def _columns(header: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in header.split(delimiter)]


def _read_csv(file: CaptionFile) -> Iterator[CaptionRecord]:
    delimiter = _delimiter(file) or ","
    rows = csv.reader(io.StringIO(file.text, newline=""), delimiter=delimiter, strict=True)
    columns: list[str] = []
    while True:
        start = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise file.error(f"line {start}", f"it is damaged CSV: {error}") from error
        if row is None:
            return
        if not columns and any(row):
            columns = [name.strip().lower() for name in row]
        elif any(row):
            yield _csv_record(file, f"line {start}", columns, row)


def _csv_record(file: CaptionFile, place: str, columns: list[str], row: list[str]) -> CaptionRecord:
    if len(row) != len(columns):
        raise file.error(
            place, f"it has {len(row)} columns, the header {len(columns)}; put quotes around a caption with commas"
        )
    cells = dict(zip(columns, row, strict=True))
    split = cells.get(_SPLIT, "").strip()
    return CaptionRecord(cells[_IMAGE].strip(), (cells[_CAPTION],), _split(file, place, split) if split else None, "", place)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _field(file: CaptionFile, place: str, value: object, name: str, kinds: type | tuple[type, ...]) -> Any:
    """Return a field of a JSON object; raise where it is missing or of another type."""
    found = _object(value).get(name)
    if isinstance(found, kinds) and not isinstance(found, bool):
        return found
    expected = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
    seen = "is missing" if found is None else f"is {str(found)[:40]!r}"
    raise file.error(place, f"the field {name!r} {seen}, expected {expected}")


def _texts(file: CaptionFile, place: str, values: Iterable[object]) -> list[str]:
    for value in values:
        if not isinstance(value, str):
            raise file.error(place, f"{str(value)[:40]!r} is no text")
    return [str(value) for value in values]


def _folder(file: CaptionFile, place: str, image: object) -> str:
    return str(_field(file, place, image, "filepath", str)) if "filepath" in _object(image) else ""


def _split(file: CaptionFile, place: str, name: str) -> str:
    split = _SPLIT_OF.get(name.strip().lower())
    if split is None:
        raise file.error(place, f"the split {name!r} is unknown, expected one of {', '.join(_SPLIT_OF)}")
    return split


FORMATS = (
    CaptionFormat("coco", _is_coco, _read_coco),
    CaptionFormat("karpathy", _is_karpathy, _read_karpathy),
    CaptionFormat("jsonl", _is_jsonl, _read_jsonl),
    CaptionFormat("flickr8k", _is_flickr8k, _read_flickr8k),
    CaptionFormat("csv", _is_csv, _read_csv),
)
