"""A worker: it opens the bundle once, and answers one part after the other."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgernn.batch.answering import answering_of
from edgernn.batch.part import Done, run_part
from edgernn.batch.places import Place
from edgernn.batch.plan import Part, Plan
from edgernn.bundle import Bundle


@dataclass(frozen=True)
class Job:
    """What every worker is given.

    Attributes:
        bundle: its path on this machine; or its packed bytes, for one that may be elsewhere.
        plan: of the run.
        out: the output's folder, as a URL.
    """

    bundle: Path | bytes
    plan: Plan
    out: str


class Worker:
    """Opens what it needs of a job, and keeps it."""

    def __init__(self, job: Job) -> None:
        self._job, self._out = job, Place.of(job.out)
        path = job.bundle
        if isinstance(path, bytes):
            self._folder = tempfile.TemporaryDirectory(prefix="edgernn-batch-")
            path = Path(self._folder.name) / "model.edgernn"
            path.write_bytes(job.bundle)  # type: ignore[arg-type]
        self._bundle = Bundle.open(path)
        self._answering = answering_of(self._bundle)(
            self._bundle, job.plan.artifact, job.plan.options
        )

    def run(self, part: Part) -> Done:
        """Answer a part and write its file."""
        return run_part(self._job.plan, part, self._answering, self._out)
