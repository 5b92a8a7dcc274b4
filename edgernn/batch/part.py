"""One part: its rows read, answered and written, one row of output for each row of input."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgernn.batch.answering import Answering
from edgernn.batch.places import Place, package, reading
from edgernn.batch.plan import FILE, Part, Plan
from edgernn.batch.rows import Row, kind_of, types_of
from edgernn.errors import DataError, EdgernnError

SOURCE, ROW, ERROR = "source", "row", "error"  # where a row came from, and what was wrong with it
INPUT = "input_"  # before the name of a kept column that an answer has too


@dataclass(frozen=True)
class Done:
    """A part that is written: its rows, and how many of them could not be answered."""

    number: int
    rows: int
    refused: int


def kept_as(name: str, answering: type[Answering]) -> str:
    """Return what a kept column is called in the output."""
    return f"{INPUT}{name}" if name in {*answering.made, SOURCE, ROW, ERROR} else name


def run_part(plan: Plan, part: Part, answering: Answering, out: Place) -> Done:
    """Answer the rows of a part and write its file, whole or not at all.

    Raises:
        DataError: the file of its rows cannot be read any more.
        StorageError: its own cannot be written.
    """
    rows = list(_rows(part))
    good = [at for at, row in enumerate(rows) if not row.problem]
    values = [rows[at].columns.get(plan.column) for at in good]
    answers: dict[int, dict[str, Any] | EdgernnError] = {}
    for run, start in _runs(good):
        found = answering.answer([values[at] for at in run], part.first + start)
        answers.update(zip((good[at] for at in run), found, strict=True))
    records, refused = [], 0
    for at, row in enumerate(rows):
        answer = answers.get(at, DataError(row.problem))
        refused += isinstance(answer, EdgernnError)
        records.append(_record(plan, part, at, row, answer, type(answering)))
    out.inside(part.name).write(_parquet(records, plan, part, type(answering)))
    return Done(part.number, len(records), refused)


def find_done(part: Part, out: Place) -> Done | None:
    """Return a part whose file lies in the output with all of its rows; None where it is lacking or
    damaged.
    """
    place, parquet = out.inside(part.name), package("pyarrow.parquet")
    try:
        with place.filesystem.open(place.path, "rb") as file:
            table = parquet.read_table(file, columns=[ERROR])
    except (OSError, ValueError):  # Arrow's own errors are of these kinds
        return None
    if table.num_rows != part.count:
        return None
    return Done(part.number, part.count, part.count - table[ERROR].null_count)


def _rows(part: Part) -> Iterator[Row]:
    """Yield exactly the rows that the part was planned with."""
    if part.files:
        yield from (Row({FILE: url}) for url in part.files)
        return
    place = Place.of(part.source)
    kind = kind_of(place.path)
    assert kind is not None
    with reading(place):
        rows = list(kind.read(place, part.block, part.offset, part.count))
    if len(rows) != part.count:
        raise DataError(
            f"{part.source} has {len(rows)} rows where there were {part.count}; it changed: begin "
            "anew with another --output"
        )
    yield from rows


def _runs(good: list[int]) -> Iterator[tuple[range, int]]:
    """Yield places in ``good`` of rows that follow each other, and the first row of each run."""
    start = 0
    for at in range(1, len(good) + 1):
        if at == len(good) or good[at] != good[at - 1] + 1:
            yield range(start, at), good[start]
            start = at


def _record(
    plan: Plan,
    part: Part,
    at: int,
    row: Row,
    answer: Mapping[str, Any] | EdgernnError,
    answering: type[Answering],
) -> dict[str, Any]:
    wrong = isinstance(answer, EdgernnError)
    return {
        SOURCE: part.files[at] if part.files else part.source,
        ROW: part.first + at,
        **{kept_as(name, answering): row.columns.get(name) for name in plan.keep},
        **(dict.fromkeys(answering.made) if isinstance(answer, EdgernnError) else answer),
        ERROR: str(answer) if wrong else None,
    }


def _parquet(
    records: list[dict[str, Any]], plan: Plan, part: Part, answering: type[Answering]
) -> bytes:
    """Return records as a Parquet file; of whatever rows, its columns have the same types."""
    arrow, parquet = package("pyarrow"), package("pyarrow.parquet")
    types = {SOURCE: "string", ROW: "int64", **answering.made, ERROR: "string"}
    made = {"string": arrow.string(), "int64": arrow.int64(), "double": arrow.float64()}
    made["bool"] = arrow.bool_()
    fields = [(name, made[kind]) for name, kind in types.items()]
    kinds = {} if not part.source else types_of(Place.of(part.source))
    kept = [(kept_as(name, answering), kinds.get(name, arrow.string())) for name in plan.keep]
    schema = arrow.schema([*fields[:2], *kept, *fields[2:]])
    sink = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(records, schema=schema), sink)
    return sink.getvalue()
