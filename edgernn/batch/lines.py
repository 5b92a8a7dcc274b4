"""Texts with rows in them: CSV and its like, JSON lines, a text a line. An offset is a byte."""

from __future__ import annotations

import csv
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePath
from typing import Any, BinaryIO

from edgernn.batch.places import Place, package, reading
from edgernn.batch.rows import Rows, Span, Taken, not_utf8
from edgernn.data.columns import delimiter_of, distinct
from edgernn.errors import DataError, one_line

Row = dict[str, Any] | DataError  # its columns, or why it could not be read
_ESCAPED = "surrogateescape"
_MARK = b"\xef\xbb\xbf"  # of UTF-8, which may stand before the first line
_LONGEST_FIELD = 1 << 27  # bytes


@dataclass(frozen=True)
class _Head:
    """How a file begins: the names of its columns, what is between them, where its rows start."""

    names: list[str]
    delimiter: str = ","
    start: int = 0


class _Lines(Rows):
    def columns(self, place: Place) -> dict[str, Any]:
        """See ``Rows.columns``: all of them are texts."""
        names = distinct(self._head(place).names, place.url)
        if not all(map(_is_utf8, names)):
            raise DataError(f"{place.url} begins with names that are not UTF-8; save it as UTF-8")
        return dict.fromkeys(names, package("pyarrow").string())

    def parts(self, place: Place, rows: int) -> Iterator[Span]:
        """See ``Rows.parts``."""
        head = self._head(place)
        with reading(place), place.opened() as file:
            lines = _Counted(file, head.start)
            records = self._records(lines, head)
            while True:
                offset = lines.taken
                count = sum(1 for _ in islice(records, rows))
                if not count:
                    return
                yield Span(0, offset, count)

    def take(self, place: Place, span: Span, column: str, keep: Sequence[str]) -> Taken:
        """See ``Rows.take``."""
        arrow, rows = package("pyarrow"), list(self.read(place, span, {column, *keep}))
        values = [row if isinstance(row, DataError) else row.get(column) for row in rows]
        kept = {
            name: arrow.array(
                [None if isinstance(row, DataError) else row.get(name) for row in rows],
                arrow.string(),
            )
            for name in keep
        }
        return Taken(values, arrow.table(kept))

    def read(self, place: Place, span: Span, needed: set[str]) -> Iterator[Row]:
        """Yield the rows of a part; refuse one with a column that is needed and no UTF-8."""
        head = self._head(place)
        with reading(place), place.opened() as file:
            records = self._records(_Counted(file, span.offset), head)
            found = list(islice(records, span.count))
        for record in found:
            row = record if isinstance(record, DataError) else self._row(head.names, record)
            wrong = None
            if not isinstance(row, DataError):
                wrong = next((n for n in row if n in needed and not _is_utf8(row[n])), None)
            yield row if wrong is None else not_utf8(wrong)

    @abstractmethod
    def _head(self, place: Place) -> _Head:
        """Return how a file begins."""

    @abstractmethod
    def _records(self, lines: _Counted, head: _Head) -> Iterator[Any]:
        """Yield the records that lines make, or what was wrong with one."""

    @abstractmethod
    def _row(self, names: list[str], record: Any) -> Row:
        """Return a record as a row."""


class Csv(_Lines):
    """CSV with names in its first line, its columns apart by comma, semicolon or tab; a record may
    have line ends in quotes.
    """

    suffixes = (".csv", ".tsv")

    def _head(self, place: Place) -> _Head:
        with reading(place), place.opened() as file:
            first = next((line for line in _Counted(file, 0) if line.strip()), "")
            between = delimiter_of(PurePath(place.path).suffix.lower(), first)
            lines = _Counted(file, 0)
            names = next(self._records(lines, _Head([], between)), [])
        if isinstance(names, DataError) or not names:
            found = f": {names}" if names else ""
            raise DataError(f"{place.url} does not begin with the names of its columns{found}")
        return _Head([name.strip() for name in names], between, lines.taken)

    def _records(self, lines: _Counted, head: _Head) -> Iterator[list[str] | DataError]:
        reader = csv.reader(lines, delimiter=head.delimiter, strict=True)
        while True:
            limit = csv.field_size_limit(_LONGEST_FIELD)  # of the whole process: for one record
            try:
                record: list[str] | DataError = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                record = DataError(f"it is damaged CSV ({error})")
            finally:
                csv.field_size_limit(limit)
            if record:
                yield record

    def _row(self, names: list[str], record: list[str]) -> Row:
        if len(record) != len(names):
            return DataError(f"it has {len(record)} fields, expected {len(names)}")
        return dict(zip(names, record, strict=True))


class JsonLines(_Lines):
    """An object a line; its columns are those of the first one."""

    suffixes = (".jsonl", ".ndjson")

    def _head(self, place: Place) -> _Head:
        with reading(place), place.opened() as file:
            for record in self._records(_Counted(file, 0), _Head([])):
                row = self._row([], record)
                if not isinstance(row, DataError) and row:
                    return _Head(list(row))
        raise DataError(f"{place.url} has no line that is a JSON object with fields")

    def _records(self, lines: _Counted, head: _Head) -> Iterator[str]:
        return (line for line in lines if line.strip())

    def _row(self, names: list[str], record: str) -> Row:
        try:
            found = json.loads(record.encode("utf-8", _ESCAPED))
        except (ValueError, RecursionError) as error:
            return DataError(f"it is damaged JSON ({one_line(str(error))})")
        if not isinstance(found, dict):
            return DataError(f"it is a JSON {type(found).__name__}, expected an object")
        return {name: _plain(found.get(name)) for name in names or found}


class Text(_Lines):
    """A text a line, in a column ``text``."""

    suffixes = (".txt",)

    def _head(self, place: Place) -> _Head:
        return _Head(["text"])

    def _records(self, lines: _Counted, head: _Head) -> Iterator[str]:
        return iter(lines)

    def _row(self, names: list[str], record: str) -> Row:
        return {"text": record.rstrip("\r\n")}


class _Counted:
    """The lines of a file from a byte on, undecodable bytes kept, and how far they were taken."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        file.seek(offset)
        self._file, self.taken = file, offset

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line, first = self._file.readline(), not self.taken
        if not line:
            raise StopIteration
        self.taken += len(line)
        return (line.removeprefix(_MARK) if first else line).decode("utf-8", _ESCAPED)


def _is_utf8(text: str | None) -> bool:
    try:
        (text or "").encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a JSON value as a text, so that a column is of one type in every part."""
    return value if value is None or isinstance(value, str) else json.dumps(value)
