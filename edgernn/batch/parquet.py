"""Parquet: a block is a row group. What is kept beside the answers stays as Arrow has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgernn.batch.places import Place, package, reading
from edgernn.batch.rows import Rows, Span, Taken, Value, not_utf8
from edgernn.data.columns import distinct

MOST_ROWS = 65_536  # of a part, where a file's own blocks are larger


class Parquet(Rows):
    """See ``Rows``; only the columns that are needed are read."""

    suffixes = (".parquet", ".pq")

    def columns(self, place: Place) -> dict[str, Any]:
        """See ``Rows.columns``."""
        with reading(place), place.opened() as file:
            schema = package("pyarrow.parquet").ParquetFile(file).schema_arrow
        return {name: schema.field(name).type for name in distinct(schema.names, place.url)}

    def parts(self, place: Place, rows: int) -> Iterator[Span]:
        """See ``Rows.parts``; a row group is decoded as a whole, so it is cut little."""
        with reading(place), place.opened() as file:
            metadata = package("pyarrow.parquet").ParquetFile(file).metadata
            sizes = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
        for block, size in enumerate(sizes):
            for offset in range(0, size, MOST_ROWS):
                yield Span(block, offset, min(MOST_ROWS, size - offset))

    def take(self, place: Place, span: Span, column: str, keep: Sequence[str]) -> Taken:
        """See ``Rows.take``."""
        needed = list(dict.fromkeys([column, *keep]))
        with reading(place), place.opened() as file:
            opened = package("pyarrow.parquet").ParquetFile(file)
            table = opened.read_row_group(span.block, columns=needed)
            table = table.slice(span.offset, span.count)
            values = [_text(value, column) for value in _bytes(table[column])]
        kept = table.select(list(keep))
        for at, name in enumerate(keep):
            kept = kept.set_column(at, kept.field(at), _valid(kept[name]))
        return Taken(values, kept)


def _bytes(column: Any) -> list[bytes | None]:
    """Return the bytes of texts, which need not be UTF-8."""
    return list(_decoded(column).cast("large_binary").to_pylist())


def _decoded(column: Any) -> Any:
    """Return a column without a dictionary."""
    return column.cast(column.type.value_type) if "dictionary" in str(column.type) else column


def _text(content: bytes | None, column: str) -> Value:
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        return not_utf8(column)


def _valid(column: Any) -> Any:
    """Return texts with U+FFFD for what is not UTF-8, which no reader of the output could take; any
    other column as it is.
    """
    if not str(column.type).endswith("string"):
        return column
    try:
        column.validate(full=True)
    except ValueError:
        texts = [b if b is None else b.decode("utf-8", "replace") for b in _bytes(column)]
        return package("pyarrow").chunked_array([texts], column.type)
    return column
