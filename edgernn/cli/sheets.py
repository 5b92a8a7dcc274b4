"""Tables as data, and the two ways in which they are shown: side by side, or a record a row where
there is no room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgernn.cli.shown import joined

Cell = Text | str
NATURAL_WIDTH = (
    10_000  # columns: wider than any table, so that none is folded where no terminal sets a width
)
_GAP = " · "
_EMPTY = ("", "-")


@dataclass(frozen=True)
class Sheet:
    """A table: headings, rows of as many cells, which headings stand to the right, and a title.

    ``wrapped``: the last column is prose, so it wraps, and the table stands side by side at any
    width.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    right: frozenset[str] = field(default_factory=frozenset)
    title: str = ""
    wrapped: bool = False


def table_of(sheet: Sheet) -> Table:
    """Return the table side by side."""
    table = Table(box=None, pad_edge=False, title=sheet.title or None, title_justify="left")
    for index, heading in enumerate(sheet.headings, 1):
        fixed = sheet.wrapped and index < len(sheet.headings)
        table.add_column(
            heading,
            justify="right" if heading in sheet.right else "left",
            overflow="fold",
            no_wrap=fixed,
        )
    for row in sheet.rows:
        table.add_row(*row)
    return table


def records(sheet: Sheet) -> list[Padding | Text | str]:
    """Return the lines of a record for each row: its first cell, and below it the others under
    their headings.
    """
    lines: list[Padding | Text | str] = [sheet.title] if sheet.title else []
    for first, *others in sheet.rows:
        lines.append(first)
        named = zip(sheet.headings[1:], others, strict=True)
        parts = [
            joined(heading, " " if heading else "", cell)
            for heading, cell in named
            if str(cell) not in _EMPTY
        ]
        lines.append(Padding(Text(_GAP).join(parts), (0, 0, 0, 2)))
    return lines
