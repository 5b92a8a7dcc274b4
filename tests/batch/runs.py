"""Plans and an engine for tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")


from edgernn.batch.part import Done, Failed
from edgernn.batch.plan import Part, Plan
from edgernn.batch.run import plan_run
from edgernn.batch.worker import Job, Worker
from edgernn.bundle import Bundle


def planned(bundle: Path, source: Path | str, **options: Any) -> Plan:
    with Bundle.open(bundle) as opened:
        return plan_run(opened, str(source), **{"options": {}, "rows": 7, **options})


def here(job: Job, parts: Sequence[Part], workers: int) -> Iterator[Done | Failed]:
    """An engine without processes."""
    worker = Worker(job)
    yield from map(worker.run, parts)
