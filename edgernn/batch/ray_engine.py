"""Parts on a Ray cluster, as a map of Ray Data over actors, each of which keeps its bundle open.

What travels is which rows to answer, never the rows: a worker reads them where they lie and writes
its part itself, whole or not at all. So a part that Ray runs again, because its node or worker was
lost, makes the same file and nothing twice.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from edgernn.batch.part import Done, Failed
from edgernn.batch.plan import Part
from edgernn.batch.worker import Job, Worker
from edgernn.errors import DataError, EdgernnError, StorageError, UnavailableError, one_line


def run_on_ray(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Done | Failed]:
    """Yield each part that is written, and each whose rows cannot be read.

    Joins the cluster that ``RAY_ADDRESS`` names, or that runs on this machine; begins one of this
    machine alone where there is none. Input, output and this package must be there on every node.

    Raises:
        DataError: the cluster gave up.
        StorageError: a worker could not go on.
        UnavailableError: Ray is not installed, or no cluster answers.
    """
    ray = _started()
    data = import_module("ray.data")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = 0
    rows = data.from_items(
        [{"number": at} for at in range(len(parts))], override_num_blocks=len(parts)
    )
    made = rows.map_batches(
        _Answers,
        fn_constructor_args=(job, tuple(parts)),
        batch_size=1,
        compute=data.ActorPoolStrategy(min_size=1, max_size=workers),
        num_cpus=1,
    )
    try:
        for row in made.iter_rows():
            if row["fatal"]:
                raise StorageError(row["problem"])
            if row["problem"]:
                yield Failed(parts[int(row["at"])], row["problem"])
            else:
                yield Done(int(row["number"]), int(row["rows"]), int(row["refused"]))
    except ray.exceptions.RayError as error:
        raise DataError(f"the Ray cluster gave up ({one_line(str(error))[:300]})") from error


class _Answers:
    """An actor of the map."""

    def __init__(self, job: Job, parts: Sequence[Part]) -> None:
        self._parts, self._worker = parts, Worker(job)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Run the part of a number."""
        at = int(batch["number"][0])
        part, problem, fatal = self._parts[at], "", False
        try:
            done = self._worker.run(part)
        except EdgernnError as error:  # a remedy of ours would be lost among Ray's own words
            done, problem, fatal = Done(part.number, 0, 0), str(error), type(error) is not DataError
        told = {**asdict(done), "at": at, "problem": problem, "fatal": fatal}
        return {name: [value] for name, value in told.items()}


def _started() -> Any:
    """Return Ray, joined to a cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise UnavailableError(
            "--engine ray needs the package 'ray'; run: pip install 'edgernn[ray]'"
        ) from error
    if ray.is_initialized():
        return ray
    address = os.environ.get("RAY_ADDRESS")
    try:
        if address:
            ray.init(address, log_to_driver=False, logging_level="error")
        else:
            ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = address or "this machine"
        raise UnavailableError(f"no Ray cluster at {where} ({one_line(str(error))})") from error
    return ray
