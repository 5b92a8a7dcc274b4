"""What keeps the protocol of a session: each row of the table in each session that runs it here,
and the reference; and random calls for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgernn import formats
from edgernn.contract import BATCH, STEP, TIME, FileContract
from edgernn.formats import Format
from edgernn.sessions.base import Session, State
from edgernn.sessions.draw import drawn_inputs, random_state

Arrays = dict[str, np.ndarray]


def sessions_here() -> Iterator[tuple[Format, str]]:
    """Yield each row with each session of it that this machine can run, as ``module:Class``."""
    for row in (*formats.FORMATS.values(), formats.REFERENCE):
        lacking = (
            formats.resolve(row.lacking, needed_for="a test", extra=None)() if row.lacking else None
        )
        if row.needs_platform() is None and lacking is None:
            yield row, row.session
        if row.interpreter is not None:
            yield row, row.interpreter


def _lacking(row: Format) -> bool:
    """Return whether this machine lacks what runs the files of a row, beside a package."""
    if row.lacking is None:
        return False
    return formats.resolve(row.lacking, needed_for="a test", extra=None)() is not None


Case = tuple[Format, str, str]  # a row, a session of it, and which of the tiny models
CASES: list[Case] = [
    (*found, model) for found in sessions_here() for model in ("language", "captioner")
]
ENCODING = [case for case in CASES if case[2] == "captioner"]


def called(case: Case) -> str:
    """Return what a case is called in the list of tests."""
    return f"{case[0].name}-{case[1].split(':')[1]}-{case[2]}"


@dataclass(frozen=True)
class Subject:
    """One model in one format and session: its files, opened as the protocol says.

    Attributes:
        row, kind: the row of the table, and the session.
        files: graph → file, and what it promises.
    """

    row: Format
    kind: type[Session]
    files: dict[str, tuple[Path, FileContract]]

    def open(
        self, graph: str = STEP, first_state: Arrays | None = None, *, threads: int | None = None
    ) -> Session:
        """Open the file of ``graph`` anew."""
        return self.kind.open(*self.files[graph], first_state, threads=threads)

    @property
    def is_reference(self) -> bool:
        """Whether it is the reference, whose file is a checkpoint."""
        return self.row.exporter is None


@dataclass(frozen=True)
class Drive:
    """A session of a step file, with random calls for it as large as the file takes them."""

    session: Session

    @property
    def batch(self) -> int:
        """How many rows a call has: three where that is open."""
        return self.session.file_contract.axis_size(BATCH) or 3

    @property
    def steps(self) -> int:
        """How many steps a call has: two where that is open."""
        frames = self.session.file_contract.axis_size(TIME)
        return frames // self.session.contract.step_frames if frames else 2

    def call(
        self, seed: int, *, batch: int | None = None, steps: int | None = None
    ) -> tuple[Arrays, State]:
        """Return inputs, contexts with them, and a state, all random."""
        spec, contract, rows = self.session.spec, self.session.contract, batch or self.batch
        fresh = drawn_inputs(spec, contract, {}, batch=rows, steps=steps or self.steps, seed=seed)
        random = np.random.default_rng(seed)
        contexts = {
            tensor.name: random.normal(size=contract.shape(tensor, batch=rows)).astype(tensor.dtype)
            for tensor in spec.contexts
        }
        return {**fresh, **contexts}, random_state(contract, batch=rows, seed=seed)


def same(left: Arrays, right: Arrays) -> bool:
    return list(left) == list(right) and all(
        np.array_equal(left[name], right[name]) for name in left
    )


def copied(arrays: Arrays) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}


def near(left: Arrays, right: Arrays, limit: float) -> None:
    assert list(left) == list(right)
    for name, array in left.items():
        assert (array.dtype, array.shape) == (right[name].dtype, right[name].shape)
        scale = max(1, np.abs(right[name]).max())
        assert np.abs(array - right[name]).max() <= limit * scale, name


def pictures(session: Session, rows: int) -> Arrays:
    """Return one call of an encode graph."""
    spec, contract = session.spec, session.contract
    made = drawn_inputs(spec, contract, {}, batch=rows, steps=1, seed=6)
    return {name: array[0] for name, array in made.items()}


def ids(session: Session) -> list[str]:
    return [tensor.name for tensor in session.spec.fresh_inputs if tensor.below is not None]
