"""One part: its rows read, answered and written, one row of output for each row of input."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from edgernn.batch.answering import Answer, Answering
from edgernn.batch.kinds import kind_of
from edgernn.batch.places import Place, beside, package, reading
from edgernn.batch.plan import Part, Plan
from edgernn.batch.rows import Taken, Value
from edgernn.errors import DataError, EdgernnError

SOURCE, ROW, ERROR = "source", "row", "error"  # where a row came from, and what was wrong with it
INPUT = "input_"  # before the name of a kept column that an answer has too


@dataclass(frozen=True)
class Done:
    """A part that is written: its rows, and how many of them could not be answered."""

    number: int
    rows: int
    refused: int


@dataclass(frozen=True)
class Failed:
    """A part that could not be written, and why; no other one is the worse for it."""

    part: Part
    problem: str


def run_part(plan: Plan, part: Part, answering: Answering, out: Place) -> Done:
    """Answer the rows of a part and write its file, whole or not at all.

    Raises:
        DataError: the file of its rows cannot be read any more.
        StorageError: its own cannot be written.
    """
    taken = _taken(plan, part)
    values = taken.values
    if answering.files and part.source:
        values = [beside(v, part.source) if isinstance(v, str) else v for v in values]
    answers = _answers(answering, values, part.first)
    out.inside(part.name).write(_parquet(plan, part, taken.kept, answers, type(answering)))
    return Done(part.number, part.count, sum(isinstance(each, EdgernnError) for each in answers))


def find_done(part: Part, out: Place) -> Done | None:
    """Return a part whose file lies in the output with all of its rows; None where it is lacking or
    damaged.
    """
    place, parquet = out.inside(part.name), package("pyarrow.parquet")
    with reading(place):
        try:
            with place.opened() as file:
                table = parquet.read_table(file, columns=[ERROR])
        except (OSError, ValueError):  # Arrow's own errors are of these kinds
            return None
    if table.num_rows != part.count:
        return None
    return Done(part.number, part.count, part.count - table[ERROR].null_count)


def kept_names(keep: Sequence[str], answering: type[Answering]) -> list[str]:
    """Return what kept columns are called in the output, each with a name of its own."""
    reserved = {*answering.made, SOURCE, ROW, ERROR}
    taken, names = {*reserved, *keep}, list[str]()
    for name in keep:
        called = name
        while name in reserved and called in taken:
            called = f"{INPUT}{called}"
        taken.add(called)
        names.append(called)
    return names


def _taken(plan: Plan, part: Part) -> Taken:
    """Return exactly the rows that the part was planned with."""
    if part.files:
        files = list(part.files)
        return Taken(files, package("pyarrow").table(dict.fromkeys(plan.keep, files)))
    place = Place.of(part.source)
    kind = kind_of(place.path)
    assert kind is not None
    taken = kind.take(place, part.span, plan.column, plan.keep)
    if (found := len(taken.values)) != part.count:
        raise DataError(
            f"{part.source} has {found} rows where there were {part.count}; it changed: begin anew "
            "with another --output"
        )
    return taken


def _answers(answering: Answering, values: Sequence[Value], first: int) -> list[Answer]:
    """Return an answer a row; what could not be read of one stays what is wrong with it."""
    answers: list[Answer] = []
    for unread, run in groupby(values, key=lambda value: isinstance(value, EdgernnError)):
        rows = list(run)
        answers += rows if unread else _answered(answering, rows, first + len(answers))
    return answers


def _answered(answering: Answering, values: list[Value], first: int) -> list[Answer]:
    """Answer rows together, and where that fails each alone: one of them is to blame."""
    try:
        return list(answering.answer(values, first))
    except EdgernnError as error:
        if len(values) == 1:
            return [error]
    return [_answered(answering, [value], first + at)[0] for at, value in enumerate(values)]


def _parquet(
    plan: Plan, part: Part, kept: Any, answers: Sequence[Answer], answering: type[Answering]
) -> bytes:
    """Return a part as a Parquet file; of whatever rows, its columns have the same types."""
    arrow, parquet = package("pyarrow"), package("pyarrow.parquet")
    types = {"string": arrow.string(), "int64": arrow.int64(), "double": arrow.float64()}
    types["bool"] = arrow.bool_()
    rows = range(part.first, part.first + part.count)
    columns = {
        SOURCE: arrow.array(part.files or [part.source] * part.count, types["string"]),
        ROW: arrow.array(rows, types["int64"]),
        **dict(zip(kept_names(plan.keep, answering), kept.columns, strict=True)),
    }
    for name, kind in answering.made.items():
        found = [None if isinstance(each, EdgernnError) else each[name] for each in answers]
        columns[name] = arrow.array(found, types[kind])
    wrong = [str(each) if isinstance(each, EdgernnError) else None for each in answers]
    columns[ERROR] = arrow.array(wrong, types["string"])
    sink = io.BytesIO()
    parquet.write_table(arrow.table(columns), sink)
    return sink.getvalue()
