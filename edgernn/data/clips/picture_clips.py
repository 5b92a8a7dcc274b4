"""Clips from a folder of pictures and a table of their labels.

``labels.csv`` has the columns ``file`` and ``label``, apart by comma, semicolon or tab, its rows in
the order of time. The pictures of one folder are one clip: those beside the table are, and those of
each folder below it. A folder of clips may also have a table in each.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from edgernn.data.clips.tagged import MOST_SIDE, TaggedFrames
from edgernn.data.pictures.pictures import open_picture, to_array
from edgernn.data.plain_text import PlainText
from edgernn.errors import DataError

TABLE = "labels.csv"
_FILE, _LABEL = ("file", "image", "frame", "file_name"), ("label", "tag", "event", "class")
_DIGITS = re.compile(r"(\d+)")


def read_folder(folder: Path, *, side: int | None = None) -> TaggedFrames:
    """Read a folder of pictures with their labels.

    Args:
        folder: with ``labels.csv`` in it, or in the folders below it.
        side: S, to which every picture is resized; None where all are squares of one size.

    Raises:
        DataError: there is no table, or a row of it is damaged, or a picture is missing, damaged,
            or of another size; names the row.
    """
    tables = sorted(
        [folder / TABLE, *folder.glob(f"*/{TABLE}")], key=lambda path: natural(str(path))
    )
    tables = [path for path in tables if path.is_file()]
    if not tables:
        raise DataError(
            f"{folder} has no {TABLE}; expected one with the columns file and label, a row a "
            "picture in the order of time"
        )
    clips: dict[Path, list[np.ndarray]] = {}
    labels: dict[Path, list[str]] = {}
    size = side
    for table in tables:
        for number, name, label in _rows(table):
            path = _inside(table, number, name)
            pixels = _pixels(path, f"{table}, line {number}", size, resize=side is not None)
            size = size or len(pixels)
            clips.setdefault(path.parent, []).append(pixels)
            labels.setdefault(path.parent, []).append(label)
    return TaggedFrames(
        str(folder),
        tuple(np.stack(clip) for clip in clips.values()),
        tuple(map(tuple, labels.values())),
    )


def natural(text: str) -> list[tuple[bool, int, str]]:
    """Return what sorts names by the values of the numbers in them: ``f2`` before ``f10``."""
    parts = _DIGITS.split(text)
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part
    ]


def _rows(table: Path) -> list[tuple[int, str, str]]:
    """Return of each row its line, the file and the label."""
    lines = PlainText(table, what="labels").text.split("\n")
    head = lines[0].lower()
    mark = max(",;\t", key=head.count)
    names = [name.strip().strip('"') for name in head.split(mark)]
    places = [
        next((names.index(name) for name in known if name in names), None)
        for known in (_FILE, _LABEL)
    ]
    if None in places:
        raise DataError(
            f"{table}, line 1: the columns are {', '.join(names)[:80]}, expected file and label"
        )
    reader = csv.reader(io.StringIO("\n".join(lines[1:])), delimiter=mark)
    made = []
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"{table}, line {reader.line_num + 1}: it is damaged CSV: {error}; correct it"
            ) from error
        if cells is None:
            break
        number = reader.line_num + 1
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise DataError(
                f"{table}, line {number}: it has {len(cells)} columns, the header {len(names)}"
            )
        file, label = (cells[place or 0].strip() for place in places)
        if not file or not label:
            raise DataError(
                f"{table}, line {number}: the file is {file!r}, the label {label!r}; give both"
            )
        made.append((number, file, label))
    if not made:
        raise DataError(f"{table} has no rows; expected a row a picture: its file and its label")
    return made


def _inside(table: Path, number: int, name: str) -> Path:
    """Return the path of a picture, which lies below the table's folder."""
    inner = PurePosixPath(name.replace("\\", "/"))
    if inner.is_absolute() or ".." in inner.parts:
        raise DataError(
            f"{table}, line {number}: the file is {name!r}, expected one below {table.parent}"
        )
    path = table.parent / inner
    if not path.is_file():
        raise DataError(f"{table}, line {number}: there is no file {path}")
    return path


def _pixels(path: Path, told: str, size: int | None, *, resize: bool) -> np.ndarray:
    """Return a picture as ``[S, S, 3]``."""
    picture = open_picture(path)
    if not resize:
        _check_size(path, told, picture.size, size)
    return to_array(picture, size or picture.size[0])


def _check_size(path: Path, told: str, found: Sequence[int], size: int | None) -> None:
    wide, high = found
    if size is None and (wide != high or wide > MOST_SIDE):
        raise DataError(
            f"{told}: {path} has {wide} x {high} pixels, expected a square of {MOST_SIDE} or less; "
            "give --size, to which every picture is made"
        )
    if size is not None and (wide, high) != (size, size):
        raise DataError(
            f"{told}: {path} has {wide} x {high} pixels, those before it {size} x {size}; give "
            "--size, to which every picture is made"
        )
