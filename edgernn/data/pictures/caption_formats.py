"""The formats of caption files, each one a row of ``FORMATS``: its name, how its content is
recognised, its reader.

    coco        {"images": [{"id", "file_name"}], "annotations": [{"image_id", "caption"}]}
    karpathy    {"images": [{"filename", "filepath", "split", "sentences": [{"raw", "tokens"}]}]}
    jsonl       a line each: {"image", "caption"} or {"image", "captions": [...]}, with "split" or
                without; or {"file_name", "text"}, as the metadata.jsonl of image folders has it
    flickr8k    a line each: name.jpg#0, a tab, the caption
    csv         columns image and caption (or file_name and text), with split or without, apart by
                comma, semicolon or tab

A reader turns a ``CaptionFile`` into ``CaptionRecord`` and knows nothing of pictures on a disk:
``captions`` looks for those. An entry that is not usable, as an annotation of a picture that is not
there, is an error, or left out and counted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgernn.data.pictures.caption_file import CaptionFile, CaptionRecord, parse

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
SPLITS = (TRAIN, VALIDATION, TEST)
_SPLIT_OF = {
    TRAIN: TRAIN,
    "restval": TRAIN,  # Karpathy: validation pictures that all papers train on
    **dict.fromkeys((VALIDATION, "val", "valid", "dev"), VALIDATION),
    TEST: TEST,
}
_FLICKR8K_LINE = re.compile(r"([^\t]+)#\d+\t(.*)")
_DELIMITERS = ",;\t"
_IMAGE, _CAPTION, _SPLIT = "image", "caption", "split"
# the names under which JSON Lines and CSV have them
_IMAGES, _CAPTIONS = (_IMAGE, "file_name"), (_CAPTION, "text")


@dataclass(frozen=True)
class CaptionFormat:
    """A row of the table: a name, whether a file is of the format, and what reads it."""

    name: str
    recognises: Callable[[CaptionFile], bool]
    read: Callable[[CaptionFile], Iterator[CaptionRecord]]


def recognise(file: CaptionFile) -> CaptionFormat | None:
    """Return the format of a file by its content, or None."""
    return next((row for row in FORMATS if row.recognises(file)), None)


def _is_coco(file: CaptionFile) -> bool:
    document = file.json
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        return False
    annotations = document.get("annotations")  # those of boxes and key points have no caption
    return isinstance(annotations, list) and (
        not annotations or any(_CAPTION in _object(each) for each in annotations)
    )


def _read_coco(file: CaptionFile) -> Iterator[CaptionRecord]:
    captions: dict[object, list[str]] = {}
    places: dict[object, tuple[str, str, str]] = {}

    def image(entry: tuple[int, object]) -> None:
        place = f"images[{entry[0]}]"
        key = _field(file, place, entry[1], "id", (int, str))
        if key in captions:
            raise file.error(place, f"the id {key!r} is there twice")
        places[key] = (
            _field(file, place, entry[1], "file_name", str),
            _folder(file, place, entry[1]),
            place,
        )
        captions[key] = []

    def annotation(entry: tuple[int, object]) -> None:
        place = f"annotations[{entry[0]}]"
        key = _field(file, place, entry[1], "image_id", (int, str))
        if key not in captions:
            raise file.error(place, f"the image_id {key!r} is the id of no image")
        captions[key].append(_field(file, place, entry[1], _CAPTION, str))

    for _ in file.each(enumerate(file.json["images"]), image):
        pass
    for _ in file.each(enumerate(file.json["annotations"]), annotation):
        pass
    for key, (name, folder, place) in places.items():
        yield CaptionRecord(name, tuple(captions[key]), None, folder, place)


def _is_karpathy(file: CaptionFile) -> bool:
    images = _object(file.json).get("images")
    return isinstance(images, list) and any("sentences" in _object(image) for image in images)


def _read_karpathy(file: CaptionFile) -> Iterator[CaptionRecord]:
    def read(entry: tuple[int, object]) -> CaptionRecord:
        place = f"images[{entry[0]}]"
        name = _field(file, place, entry[1], "filename", str)
        split = _split(file, place, _field(file, place, entry[1], _SPLIT, str))
        listed = _field(file, place, entry[1], "sentences", list)
        sentences = [(f"{place}.sentences[{number}]", each) for number, each in enumerate(listed)]
        captions = tuple(file.each(sentences, lambda sentence: _sentence(file, *sentence)))
        return CaptionRecord(name, captions, split, _folder(file, place, entry[1]), place)

    yield from file.each(enumerate(file.json["images"]), read)


def _sentence(file: CaptionFile, place: str, sentence: object) -> str:
    if "raw" in _object(sentence):
        return str(_field(file, place, sentence, "raw", str))
    return " ".join(_texts(file, place, _field(file, place, sentence, "tokens", list)))


def _is_jsonl(file: CaptionFile) -> bool:
    return bool(_object(parse(file.first_line)).keys() & set(_IMAGES))


def _read_jsonl(file: CaptionFile) -> Iterator[CaptionRecord]:
    yield from file.each(file.lines(), lambda entry: _json_line(file, f"line {entry[0]}", entry[1]))


def _json_line(file: CaptionFile, place: str, line: str) -> CaptionRecord:
    record = parse(line)
    if isinstance(record, Exception):
        raise file.error(place, f"it is damaged JSON: {record}") from record
    name = _field(file, place, record, _named(record, _IMAGES), str)
    if "captions" in _object(record):
        captions = _texts(file, place, _field(file, place, record, "captions", list))
    else:
        captions = [_field(file, place, record, _named(record, _CAPTIONS), str)]
    split = (
        None
        if record.get(_SPLIT) is None
        else _split(file, place, _field(file, place, record, _SPLIT, str))
    )
    return CaptionRecord(name, tuple(captions), split, "", place)


def _named(record: object, names: Sequence[str]) -> str:
    """Return the first of ``names`` that a record or a header has, else the first of all, which is
    then missing.
    """
    fields = record if isinstance(record, list) else _object(record)
    return next((name for name in names if name in fields), names[0])


def _is_flickr8k(file: CaptionFile) -> bool:
    return _FLICKR8K_LINE.fullmatch(file.first_line) is not None


def _read_flickr8k(file: CaptionFile) -> Iterator[CaptionRecord]:
    def read(entry: tuple[int, str]) -> CaptionRecord:
        match = _FLICKR8K_LINE.fullmatch(entry[1])
        if match is None:
            raise file.error(
                f"line {entry[0]}",
                f"{entry[1][:40]!r} is not of the form name.jpg#0, a tab, the caption",
            )
        return CaptionRecord(match[1], (match[2],), None, "", f"line {entry[0]}")

    yield from file.each(file.lines(), read)


def _is_csv(file: CaptionFile) -> bool:
    return _delimiter(file) is not None


def _delimiter(file: CaptionFile) -> str | None:
    """Return what separates the columns, which is what makes the first line a header of the names
    that must be there.
    """
    headers = {mark: set(_columns(file.first_line, mark)) for mark in _DELIMITERS}
    return next(
        (
            mark
            for mark, names in headers.items()
            if names & set(_IMAGES) and names & set(_CAPTIONS)
        ),
        None,
    )


def _columns(header: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in header.split(delimiter)]


def _read_csv(file: CaptionFile) -> Iterator[CaptionRecord]:
    yield from file.each(_csv_rows(file), lambda entry: _csv_record(file, *entry))


def _csv_rows(file: CaptionFile) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield of each row its place, the names of the columns and the cells."""
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
            yield f"line {start}", columns, row


def _csv_record(file: CaptionFile, place: str, columns: list[str], row: list[str]) -> CaptionRecord:
    if len(row) != len(columns):
        raise file.error(
            place,
            f"it has {len(row)} columns, the header {len(columns)}; put quotes around a "
            "caption with commas",
        )
    cells = dict(zip(columns, row, strict=True))
    split = cells.get(_SPLIT, "").strip()
    name, caption = cells[_named(columns, _IMAGES)].strip(), cells[_named(columns, _CAPTIONS)]
    return CaptionRecord(name, (caption,), _split(file, place, split) if split else None, "", place)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _field(
    file: CaptionFile, place: str, value: object, name: str, kinds: type | tuple[type, ...]
) -> Any:
    """Return a field of a JSON object; raise where it is missing or of another type."""
    found = _object(value).get(name)
    if isinstance(found, kinds) and not isinstance(found, bool):
        return found
    expected = " or ".join(
        kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
    )
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
        raise file.error(
            place, f"the split {name!r} is unknown, expected one of {', '.join(_SPLIT_OF)}"
        )
    return split


FORMATS = (
    CaptionFormat("coco", _is_coco, _read_coco),
    CaptionFormat("karpathy", _is_karpathy, _read_karpathy),
    CaptionFormat("jsonl", _is_jsonl, _read_jsonl),
    CaptionFormat("flickr8k", _is_flickr8k, _read_flickr8k),
    CaptionFormat("csv", _is_csv, _read_csv),
)
