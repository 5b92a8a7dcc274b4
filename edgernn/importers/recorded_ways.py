"""The ways in which the inputs of a recorded run may lie: rows first, steps first, or ids that were
written and fed back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from edgernn.contract import BATCH, TensorSpec
from edgernn.errors import UsageError
from edgernn.importers.recorded_run import ROWS, STEPS, Lead, Named, RecordedRun, fitted, paired
from edgernn.sessions.model import Model

LEADS: tuple[Lead, ...] = ((STEPS, ROWS), (ROWS, STEPS), (STEPS,), (ROWS,))
_MOST_STEPS = 100_000
GREEDY = "greedy"  # ids that were written, each fed to the next step


@dataclass(frozen=True, eq=False)
class Way:
    """What is fed, one way of reading the recording: ``inputs`` are ``[N, *axes]``; ``late`` is how
    many recorded outputs come before the first step's; ``part`` is whether the recorded outputs may
    be those of fewer steps."""

    inputs: Named
    rows: int
    late: int = 0
    part: bool = False


def ways_of(opened: Model, run: RecordedRun) -> Iterator[Way]:
    """Yield each way in which the inputs can lie; those of all steps in one array rows first.

    Raises:
        UsageError: there are too many steps.
    """
    contract = opened.contract
    fresh = contract.step.fresh_inputs
    ids = contract.step.ids
    sources = [run.of("in", "ctx")]
    if GREEDY in run.of("whole") and ids is not None:
        sources.append({ids.name: run.of("whole")[GREEDY]})
    for place, source in enumerate(sources):
        seen: list[Named] = []
        for lead in LEADS:
            made: Named = {}
            fits = {
                n: {s.name: _fits(a, s, opened, lead) for s in fresh} for n, a in source.items()
            }
            for spec, name in paired(source, fresh, fits):
                made[spec.name] = cast(np.ndarray, fitted(source[name], spec, contract, lead))
            lengths = {len(array) for array in made.values()} if STEPS in lead else {1}
            if len(made) < len(fresh) or len(lengths) != 1:
                continue
            if STEPS not in lead:
                made = {name: array[None] for name, array in made.items()}
            spec = fresh[0]
            shape = made[spec.name].shape[1:]
            rows = shape[spec.axes.index(BATCH)] if BATCH in spec.axes else 1
            _refuse_size(made, run)
            if not _is_among(made, seen) and all(array.size for array in made.values()):
                seen.append(made)
                given = Way(typed(made, fresh), rows, late=place, part=bool(place))
                yield given
                if place:
                    yield replace(given, inputs=_after_a_start(opened, given.inputs), late=0)


def _is_among(made: Named, seen: list[Named]) -> bool:
    """Whether the same inputs were made already; those of a square array differ by their values."""
    return any(
        all(np.array_equal(array, each[name]) for name, array in made.items()) for each in seen
    )


def _refuse_size(inputs: Named, run: RecordedRun) -> None:
    """Raise UsageError where a recording has more steps than are run one by one in a minute or so;
    those of all layers are kept.
    """
    steps = max(len(array) for array in inputs.values())
    if steps > _MOST_STEPS:
        raise UsageError(
            f"the recorded run {run.path} has {steps:,} steps, expected at most {_MOST_STEPS:,}; "
            "give its beginning"
        )


def _after_a_start(opened: Model, inputs: Named) -> Named:
    """Return written ids, each one step later: the first step is fed the start token of a network
    whose first scores are recorded too.
    """
    writes = opened.step.file_contract.decoding
    start = (writes.start[:1] if writes else ()) or (0,)
    return {
        name: np.concatenate([np.full_like(array[:1], start[0]), array[:-1]])
        for name, array in inputs.items()
    }


def _fits(array: np.ndarray, spec: TensorSpec, opened: Model, lead: Lead) -> bool:
    ids = spec.kind != "f"
    if array.dtype.kind not in ("iub" if ids else "f"):
        return False
    return fitted(array, spec, opened.contract, lead) is not None


def typed(made: Named, specs: tuple[TensorSpec, ...]) -> Named:
    """Return arrays in the dtypes of ``specs``."""
    return {spec.name: np.ascontiguousarray(made[spec.name], spec.dtype) for spec in specs}
