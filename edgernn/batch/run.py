"""A run of bulk work: planned, gone on with where it was stopped, told."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from edgernn.batch.answering import answering_of, options_of
from edgernn.batch.local import run_local
from edgernn.batch.part import Done, Failed, find_done
from edgernn.batch.places import Place
from edgernn.batch.plan import SUMMARY, Part, Plan, agree
from edgernn.batch.sources import column_of, columns_of, files_of, kept_of, parts_of
from edgernn.batch.worker import Job
from edgernn.bundle import Bundle
from edgernn.errors import DataError
from edgernn.wording import whole


class Engine(Protocol):
    """Runs parts; yields each that is written, and each that cannot be."""

    def __call__(self, job: Job, parts: Sequence[Part], workers: int) -> Iterator[Done | Failed]:
        """Run parts."""


@dataclass(frozen=True)
class Summary:
    """What a run made.

    Attributes:
        rows: of the input, and so of the output.
        refused: rows that could not be answered; their column ``error`` says why.
        parts: files of the output.
        found: of them, those that an earlier run had written.
        seconds: of this run.
        workers: at one time; 0 where nothing was left to do.
    """

    rows: int
    refused: int
    parts: int
    found: int
    seconds: float
    workers: int


def plan_run(
    bundle: Bundle,
    source: str,
    *,
    column: str | None = None,
    keep: Sequence[str] | None = None,
    artifact: str | None = None,
    options: Mapping[str, Any],
    rows: int,
) -> Plan:
    """Return the plan of a run.

    Args:
        bundle: that answers.
        source: a file, a folder, or a pattern.
        column: that is read; found by its name without.
        keep: columns that stand beside the answers; all but bytes without.
        artifact: see ``choose_model``.
        options: of the bundle's command.
        rows: of a part.

    Raises:
        DataError, UsageError, UnavailableError: the rows, the bundle or an option cannot be used.
    """
    answering = answering_of(bundle)
    taken = options_of(answering, options)
    answering(bundle, artifact, taken)  # what it cannot do is told before anything is read
    files = files_of(source)
    columns = columns_of(files)
    return Plan(
        hashlib.sha256(bundle.manifest.model_dump_json().encode()).hexdigest(),
        artifact,
        taken,
        column_of(columns, column, answering.usual, source),
        kept_of(columns, keep, source),
        {place.url: place.mark() for place in files},
        parts_of(files, whole(rows, "rows")),
    )


def run_plan(
    plan: Plan,
    bundle: Path | bytes,
    out: str,
    *,
    engine: Engine = run_local,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, rows: None,
) -> Summary:
    """Run what is not there yet of a plan.

    Args:
        plan: of the run.
        bundle: see ``Job``.
        out: a folder, new or of the same run.
        engine: what runs the parts.
        workers: at one time.
        progress: is given how many rows are done, of how many.

    Returns:
        What was made. Its rows are exactly those of the input.

    Raises:
        DataError: some rows could not be read, or a worker died at them each time; all others are
            written.
        EdgernnError: what no part could go on with; finished parts stay.
    """
    whole(workers, "workers")
    start, place = time.monotonic(), Place.of(out)
    agree(plan, place)
    found = [done for part in plan.parts if (done := find_done(part, place)) is not None]
    there = {done.number for done in found}
    todo = [part for part in plan.parts if part.number not in there]
    finished, rows = list(found), sum(done.rows for done in found)
    progress(rows, plan.rows)
    failed: list[Failed] = []
    workers = min(workers, len(todo))
    if todo:
        job = Job(bundle, plan, out)
        for ended in engine(job, todo, workers):
            if isinstance(ended, Failed):
                failed.append(ended)
                continue
            finished.append(ended)
            rows += ended.rows
            progress(rows, plan.rows)
    if failed:
        raise DataError(
            f"{failed[0].part} are not written: {failed[0].problem}; {rows} of {plan.rows} rows are"
        )
    summary = Summary(
        rows,
        sum(done.refused for done in finished),
        len(plan.parts),
        len(found),
        round(time.monotonic() - start, 3),
        workers,
    )
    place.inside(SUMMARY).write(json.dumps(asdict(summary), indent=1).encode())
    return summary
