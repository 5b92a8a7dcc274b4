"""What a kind of file with rows in it does: it is cut into parts, and a part is read.

What cannot be read of a row is told in its place; the rows around it are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgernn.batch.places import Place
from edgernn.errors import DataError

Value = Any  # of a row: what its column holds, or the DataError that says why it cannot be read


@dataclass(frozen=True)
class Span:
    """Rows of a file that follow each other.

    Attributes:
        block: the row group of a Parquet file.
        offset: a row of the group, or a byte of a text.
        count: rows.
    """

    block: int
    offset: int
    count: int


@dataclass(frozen=True)
class Taken:
    """Rows that were read.

    Attributes:
        values: of the column that is read.
        kept: an Arrow table of the columns that stand beside the answers.
    """

    values: list[Value]
    kept: Any


class Rows(ABC):
    """A kind of file."""

    suffixes: tuple[str, ...]

    @abstractmethod
    def columns(self, place: Place) -> dict[str, Any]:
        """Return the names of the columns, each with its Arrow type.

        Raises:
            DataError: it has none, two of one name, or cannot be read.
        """

    @abstractmethod
    def parts(self, place: Place, rows: int) -> Iterator[Span]:
        """Yield parts of about ``rows`` rows."""

    @abstractmethod
    def take(self, place: Place, span: Span, column: str, keep: Sequence[str]) -> Taken:
        """Return the rows of a part, as many as are there."""


def not_utf8(column: str) -> DataError:
    """Return what is wrong with a row that has other bytes there."""
    return DataError(f"its {column} is not UTF-8")
