"""A text file in memory, and the error that names a place in it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from edgernn import storage
from edgernn.data import encodings
from edgernn.errors import DataError

_MOST_BYTES = 1 << 30


class PlainText:
    """A UTF-8 text file.

    Attributes:
        path: where it lies.
        text: its content, without a byte order mark, its lines ended by newlines.
    """

    def __init__(self, path: Path, *, what: str) -> None:
        """Read a file; ``what`` says in a plural what it is to hold, as "texts and labels".

        Raises:
            DataError: it cannot be read, is too large, or is not UTF-8.
        """
        self.path = path
        try:
            content = storage.read_bytes(path, most=_MOST_BYTES)
        except OSError as error:
            raise DataError(
                f"cannot read the {what} {path}: {storage.reason(error)}; give another file"
            ) from error
        try:
            self.text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            place = f"in line {content.count(10, 0, error.start) + 1}"
            raise encodings.refuse(content, error, name=str(path), place=place) from error
        if "\0" in self.text:
            place = f"at offset {content.index(0)}"
            raise encodings.refuse(content, None, name=str(path), place=place)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not blank, each with its number from 1."""
        for number, line in enumerate(io.StringIO(self.text), start=1):
            if line.strip():
                yield number, line.rstrip("\n")

    def error(self, place: str, problem: str) -> DataError:
        """Return the error that names a place in this file."""
        return DataError(f"{self.path}, {place}: {problem}; correct it or leave it out")
