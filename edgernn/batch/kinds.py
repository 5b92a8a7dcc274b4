"""The kinds of files with rows in them: a row of the table each."""

from __future__ import annotations

from edgernn.batch.lines import Csv, JsonLines, Text
from edgernn.batch.parquet import Parquet
from edgernn.batch.rows import Rows

TABLE: tuple[Rows, ...] = (Parquet(), Csv(), JsonLines(), Text())


def kind_of(path: str) -> Rows | None:
    """Return how a file's rows are read, by its ending; None where it has none."""
    return next((kind for kind in TABLE if path.lower().endswith(kind.suffixes)), None)
