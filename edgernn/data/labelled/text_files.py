"""Texts from a file, with the label of each where it has them.

    csv, tsv    a header and a row each; the columns apart by comma, semicolon or tab
    jsonl       a line each: {"text": …, "label": …}
    txt         a line each, without labels

The columns of text and label are named by the caller, or found by the names that such columns
commonly have.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from edgernn.data.columns import TEXT_NAMES, delimiter_of, distinct, named_column
from edgernn.data.labelled.texts import LabelledText
from edgernn.data.plain_text import PlainText
from edgernn.errors import DataError, UsageError

LABEL_NAMES = ("label", "class", "category", "sentiment", "target", "intent")
_LONGEST_LABEL = 200  # characters: what is longer is a text
_Columns = tuple[str, "str | None"]


def read_texts(
    path: Path, *, text: str | None = None, label: str | None = None, labelled: bool = True
) -> list[LabelledText]:
    """Read the texts of a file.

    Args:
        path: csv, tsv, jsonl or txt, told by its ending.
        text, label: names of the columns or fields; None finds them.
        labelled: whether each text must have a label; else one that has none has an empty one.

    Raises:
        DataError: missing, not UTF-8, without such columns, or a row that is damaged: says which.
        UsageError: the ending is another.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS or (labelled and suffix == ".txt"):
        known = LABELLED_SUFFIXES if labelled else _READERS
        raise UsageError(f"{path} ends in {suffix or 'nothing'!r}, expected {', '.join(known)}")
    file = PlainText(path, what="texts and labels" if labelled else "texts")
    found = list(_READERS[suffix](file, text, label, labelled))
    if not found:
        raise DataError(f"{path} has no rows; give texts, each with its label")
    return found


def _of_lines(
    file: PlainText, text: str | None, label: str | None, labelled: bool
) -> Iterator[LabelledText]:
    for number, line in file.lines():
        yield LabelledText(line.strip(), "", f"line {number}")


def _of_table(
    file: PlainText, text: str | None, label: str | None, labelled: bool
) -> Iterator[LabelledText]:
    header = next((line for _, line in file.lines()), "")
    mark = delimiter_of(file.path.suffix.lower(), header)
    rows = csv.reader(io.StringIO(file.text, newline=""), delimiter=mark, strict=True)
    names: list[str] = []
    columns: _Columns = ("", None)
    while True:
        place = f"line {rows.line_num + 1}"
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise file.error(place, f"it is damaged CSV: {error}") from error
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if not names:
            names = [name.strip() for name in row]
            columns = _columns(file, names, text, label, labelled)
            continue
        if len(row) != len(names):
            told = f"it has {len(row)} columns, the header {len(names)}"
            raise file.error(place, f"{told}; put quotes around a text with {mark!r}")
        yield _row(file, place, dict(zip(names, row, strict=True)), columns, labelled)


def _of_json_lines(
    file: PlainText, text: str | None, label: str | None, labelled: bool
) -> Iterator[LabelledText]:
    columns: _Columns | None = None
    for number, line in file.lines():
        place = f"line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise file.error(place, f"it is damaged JSON: {error}") from error
        if not isinstance(record, dict):
            raise file.error(place, f"it is {line[:40]!r}, expected an object of text and label")
        columns = columns or _columns(file, list(record), text, label, labelled)
        for name in filter(None, columns):
            if name not in record and (name == columns[0] or labelled):
                raise file.error(place, f"it has no field {name!r}, expected {_named(columns)}")
        yield _row(file, place, record, columns, labelled)


def _columns(
    file: PlainText, names: list[str], text: str | None, label: str | None, labelled: bool
) -> _Columns:
    """Return the names of the columns of text and label; of the label None where there is none and
    none is needed.
    """
    distinct(names, file.path)
    chosen = named_column(names, text, usual=TEXT_NAMES, where=file.path, option="--text-column")
    if not labelled and label is None:
        return chosen, next((n for n in names if n.lower() in LABEL_NAMES and n != chosen), None)
    named = named_column(names, label, usual=LABEL_NAMES, where=file.path, option="--label-column")
    if named == chosen:
        raise UsageError(f"text and label are both the column {chosen!r}; give two")
    return chosen, named


def _row(
    file: PlainText, place: str, record: dict[str, object], columns: _Columns, labelled: bool
) -> LabelledText:
    text = record[columns[0]]
    if not isinstance(text, str):
        raise file.error(place, f"{columns[0]} is {str(text)[:40]!r}, expected a text")
    if not text.strip():
        raise file.error(place, f"{columns[0]} is empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise file.error(place, f"{columns[0]} holds half of a surrogate pair") from error
    label = None if columns[1] is None else record.get(columns[1])
    return LabelledText(text, _label(file, place, label, columns[1], labelled), place)


def _label(file: PlainText, place: str, label: object, column: str | None, labelled: bool) -> str:
    """Return the label as a text: numbers and truth values as JSON has them."""
    if isinstance(label, bool):
        label = str(label).lower()
    elif isinstance(label, int):
        label = str(label)
    if label is None or (isinstance(label, str) and not label.strip()):
        if labelled:
            raise file.error(place, f"{column} is empty, expected a label")
        return ""
    if not isinstance(label, str) or len(label) > _LONGEST_LABEL or not label.isprintable():
        raise file.error(place, f"{column} is {str(label)[:40]!r}, expected a short text or number")
    return label.strip()


def _named(columns: _Columns) -> str:
    return " and ".join(repr(name) for name in columns if name)


_Reader = Callable[[PlainText, "str | None", "str | None", bool], Iterator[LabelledText]]
_READERS: dict[str, _Reader] = {
    ".csv": _of_table,
    ".tsv": _of_table,
    ".jsonl": _of_json_lines,
    ".txt": _of_lines,
}
LABELLED_SUFFIXES = tuple(name for name in _READERS if name != ".txt")
