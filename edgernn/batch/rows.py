"""Kinds of files with rows in them, a row of the table each: how they are cut into parts, and how a
part is read.

What cannot be read of a row is told in its place; the rows around it are read.
"""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

from edgernn.batch.places import Place, package, reading
from edgernn.errors import DataError, one_line

MOST_ROWS = 65_536  # of a part, where a file's own blocks are larger
_ESCAPED = "surrogateescape"


@dataclass(frozen=True)
class Row:
    """A row that was read: its columns; or, in a line, why it could not be."""

    columns: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


class Rows(ABC):
    """A kind of file."""

    suffixes: tuple[str, ...]

    @abstractmethod
    def columns(self, place: Place) -> list[str]:
        """Return the names of the columns."""

    def types(self, place: Place) -> dict[str, Any]:
        """Return the Arrow types of columns; of those that are not named, texts."""
        return {}

    @abstractmethod
    def parts(self, place: Place, rows: int) -> Iterator[tuple[int, int, int]]:
        """Yield ``(block, offset, count)`` of parts of about ``rows`` rows."""

    @abstractmethod
    def read(self, place: Place, block: int, offset: int, count: int) -> Iterator[Row]:
        """Yield the rows of a part."""


class Parquet(Rows):
    """Parquet: a block is a row group, an offset a row in it."""

    suffixes = (".parquet", ".pq")

    def columns(self, place: Place) -> list[str]:
        """See ``Rows.columns``."""
        with reading(place), _opened(place) as file:
            return list(package("pyarrow.parquet").ParquetFile(file).schema_arrow.names)

    def types(self, place: Place) -> dict[str, Any]:
        """See ``Rows.types``."""
        with reading(place), _opened(place) as file:
            schema = package("pyarrow.parquet").ParquetFile(file).schema_arrow
            return {field.name: field.type for field in schema}

    def parts(self, place: Place, rows: int) -> Iterator[tuple[int, int, int]]:
        """See ``Rows.parts``; a row group is decoded as a whole, so it is cut little."""
        with reading(place), _opened(place) as file:
            metadata = package("pyarrow.parquet").ParquetFile(file).metadata
            sizes = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
        for block, size in enumerate(sizes):
            for offset in range(0, size, MOST_ROWS):
                yield block, offset, min(MOST_ROWS, size - offset)

    def read(self, place: Place, block: int, offset: int, count: int) -> Iterator[Row]:
        """See ``Rows.read``."""
        with reading(place), _opened(place) as file:
            table = package("pyarrow.parquet").ParquetFile(file).read_row_group(block)
            found = table.slice(offset, count).to_pylist()
        yield from (Row(columns) for columns in found)


class _Lines(Rows):
    """Text: an offset is a byte."""

    def parts(self, place: Place, rows: int) -> Iterator[tuple[int, int, int]]:
        """See ``Rows.parts``."""
        with reading(place), _opened(place) as file:
            lines = _Counted(file, self._start(place))
            records = self._records(lines)
            while True:
                offset = lines.taken
                count = sum(1 for _ in islice(records, rows))
                if not count:
                    return
                yield 0, offset, count

    def read(self, place: Place, block: int, offset: int, count: int) -> Iterator[Row]:
        """See ``Rows.read``."""
        names = self.columns(place)
        with reading(place), _opened(place) as file:
            records = list(islice(self._records(_Counted(file, offset)), count))
        yield from (self._row(names, record) for record in records)

    def _start(self, place: Place) -> int:
        return 0

    @abstractmethod
    def _records(self, lines: _Counted) -> Iterator[Any]:
        """Yield the records that lines make."""

    @abstractmethod
    def _row(self, names: list[str], record: Any) -> Row:
        """Return a record as a row."""


@dataclass(frozen=True)
class _Damaged:
    words: str


class Csv(_Lines):
    """CSV with names in its first line; a record may have line ends in quotes."""

    suffixes = (".csv",)
    delimiter = ","

    def columns(self, place: Place) -> list[str]:
        """See ``Rows.columns``."""
        with reading(place), _opened(place) as file:
            names = next(self._records(_Counted(file, 0)), [])
        if isinstance(names, _Damaged) or not names or len(set(names)) < len(names):
            raise DataError(f"{place.url} begins with {names}, expected the names of its columns")
        return [name.removeprefix("\ufeff") for name in names]

    def _start(self, place: Place) -> int:
        with reading(place), _opened(place) as file:
            lines = _Counted(file, 0)
            next(self._records(lines), None)
            return lines.taken

    def _records(self, lines: _Counted) -> Iterator[list[str] | _Damaged]:
        csv.field_size_limit(1 << 27)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield _Damaged(f"it is damaged CSV ({error})")
                continue
            if record:
                yield record

    def _row(self, names: list[str], record: list[str] | _Damaged) -> Row:
        if isinstance(record, _Damaged):
            return Row(problem=record.words)
        if len(record) != len(names):
            return Row(problem=f"it has {len(record)} fields, expected {len(names)}")
        return _checked(dict(zip(names, record, strict=True)))


class Tsv(Csv):
    """The same with tabs."""

    suffixes = (".tsv",)
    delimiter = "\t"


class JsonLines(_Lines):
    """An object a line."""

    suffixes = (".jsonl", ".ndjson")

    def columns(self, place: Place) -> list[str]:
        """See ``Rows.columns``: those of the first line that is an object."""
        with reading(place), _opened(place) as file:
            for record in self._records(_Counted(file, 0)):
                if columns := self._row([], record).columns:
                    return list(columns)
        raise DataError(f"{place.url} has no line that is a JSON object")

    def _records(self, lines: _Counted) -> Iterator[str]:
        return (line for line in lines if line.strip())

    def _row(self, names: list[str], record: str) -> Row:
        try:
            found = json.loads(record.encode("utf-8", _ESCAPED))
        except (ValueError, RecursionError) as error:
            return Row(problem=f"it is damaged JSON ({one_line(str(error))})")
        if not isinstance(found, dict):
            return Row(problem=f"it is a JSON {type(found).__name__}, expected an object")
        return Row({name: _plain(found.get(name)) for name in names or found})


class Text(_Lines):
    """A text a line, in a column ``text``."""

    suffixes = (".txt",)

    def columns(self, place: Place) -> list[str]:
        """See ``Rows.columns``."""
        return ["text"]

    def _records(self, lines: _Counted) -> Iterator[str]:
        return iter(lines)

    def _row(self, names: list[str], record: str) -> Row:
        return _checked({"text": record.rstrip("\r\n")})


class _Counted:
    """The lines of a file from a byte on, undecodable bytes kept, and how far they were taken."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        file.seek(offset)
        self._file, self.taken = file, offset

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        self.taken += len(line)
        return line.decode("utf-8", _ESCAPED)


def _checked(columns: dict[str, str]) -> Row:
    """Refuse a row with bytes that are not UTF-8."""
    for name, text in columns.items():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            return Row(problem=f"its {name} is not UTF-8")
    return Row(columns)


def _plain(value: Any) -> Any:
    """Return a JSON value as a text, so that a column is of one type in every part."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _opened(place: Place) -> Any:
    return place.filesystem.open(place.path, "rb")


TABLE: tuple[Rows, ...] = (Parquet(), Csv(), Tsv(), JsonLines(), Text())


def kind_of(path: str) -> Rows | None:
    """Return how a file's rows are read, by its ending; None where it has none."""
    return next((kind for kind in TABLE if path.lower().endswith(kind.suffixes)), None)


def types_of(place: Place) -> dict[str, Any]:
    """Return the Arrow types of a file's columns, see ``Rows.types``."""
    kind = kind_of(place.path)
    return {} if kind is None else kind.types(place)
