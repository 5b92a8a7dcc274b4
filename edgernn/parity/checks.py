"""The checks, by name: each takes one artifact and gives one verdict with the numbers behind it.

A check that this machine cannot make is "not run", never "passed". A new check is one function and one row of ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgernn import formats
from edgernn.contract import file_problems
from edgernn.decoding.generate import greedy_tokens
from edgernn.errors import ContractError, UnavailableError
from edgernn.parity import golden, rollout
from edgernn.parity.report import Check
from edgernn.parity.rollout import Drift
from edgernn.parity.subject import Subject
from edgernn.sessions.base import Session
from edgernn.sessions.opening import session_class
from edgernn.tolerances import Tolerance

_SEED = 7


def run_check(subject: Subject, name: str) -> Check:
    """Make the check ``name``; what this machine lacks is not run, and a file that breaks on the way has failed."""
    try:
        if subject.artifact.format not in formats.FORMATS:
            known = "this edgernn does not know the format"
            raise UnavailableError(f"{known} {subject.artifact.format!r}; use the one that exported it")
        return CHECKS[name](subject)
    except UnavailableError as error:
        return Check(name=name, status="not run", detail=str(error))
    except ContractError as error:
        return Check(name=name, status="failed", detail=str(error))


def check_contract(subject: Subject) -> Check:
    """Names, axes, dtypes and metadata in the file itself, against the manifest."""
    path = subject.bundle.path(subject.artifact.path)
    description = session_class(subject.artifact.format).describe(path)
    problems = file_problems(description, subject.bundle.file_contract(subject.artifact))
    interface = description.interface
    agreed = f"{len(interface.inputs)} inputs, {len(interface.outputs)} outputs, {len(interface.states)} kept states, metadata"
    return Check(name="contract", status="failed" if problems else "passed", detail="; ".join(problems) or agreed)


def check_rollout(subject: Subject) -> Check:
    """Outputs and states of chained runs, each side on its own state, at every call."""
    limit, session = subject.limit, subject.session
    if subject.judge is None:
        return Check(name="rollout", status="not run", detail="there is no reference to roll out; see golden")
    found = rollouts(subject.judge, session, subject.steps)
    shapes = f"{len(found)} runs of {subject.steps} steps, batch {sorted({r.plan.batch for r in found})}"
    lengths = sorted({length for run in found for length in run.plan.lengths})
    return _judged("rollout", [drift for run in found for drift in run.drifts], limit, f"{shapes}, T {lengths}")


def rollouts(judge: Session, session: Session, steps: int) -> list[rollout.Rollout]:
    """Roll ``session`` out against ``judge`` over every plan that its file allows."""
    return [
        rollout.compare(judge, session, plan, seed=_SEED + index) for index, plan in enumerate(rollout.plans(session, steps))
    ]


def check_greedy(subject: Subject) -> Check:
    """The most probable text, each token fed back: equal, token for token."""
    session, steps = subject.session, subject.steps
    if subject.judge is None:
        return Check(name="greedy", status="not run", detail="there is no reference to write the same text; see golden")
    prompt = np.array(subject.bundle.manifest.decoding.start, np.int64)
    expected, found = greedy_tokens(subject.judge, prompt, steps), greedy_tokens(session, prompt, steps)
    agreed = next((i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b), steps)
    measured = {"identical": agreed}
    if agreed == steps:
        return Check(name="greedy", status="passed", detail=f"{steps} tokens identical", measured=measured)
    text = f"token {agreed} is {found[agreed]}, the reference writes {expected[agreed]}"
    return Check(name="greedy", status="failed", detail=text, measured=measured)


def check_golden(subject: Subject) -> Check:
    """The recorded run, replayed from its own start: what a device does without a reference."""
    limit, session = subject.limit, subject.session
    inner = subject.bundle.manifest.golden
    if inner is None:
        return Check(name="golden", status="not run", detail="the bundle carries no golden run")
    found = golden.replay(session, subject.bundle.path(inner))
    return _judged("golden", found, limit, f"{len(found[0].curve)} recorded steps")


CHECKS: dict[str, Callable[[Subject], Check]] = {
    "contract": check_contract,
    "rollout": check_rollout,
    "greedy": check_greedy,
    "golden": check_golden,
}


def _judged(name: str, drifts: Sequence[Drift], limit: Tolerance, what: str) -> Check:
    worst = max(drifts, key=lambda drift: drift.scaled)
    absolute: dict[str, float] = {}
    for drift in drifts:
        absolute[drift.tensor] = max(absolute.get(drift.tensor, 0.0), drift.worst)
    good = worst.scaled <= limit.rollout
    return Check(
        name=name,
        status="passed" if good else "failed",
        detail=f"{what}; worst {worst.tensor} {worst.scaled:.1e} at call {worst.worst_call} (tolerance {limit.rollout:.0e})",
        measured={
            "tensor": worst.tensor,
            "worst_absolute": absolute,
            "worst_scaled": worst.scaled,
            "worst_call": worst.worst_call,
            "tolerance": limit.rollout,
        },
        curves=_curves(drifts),
    )


def _curves(drifts: Sequence[Drift]) -> dict[str, tuple[float, ...]]:
    """Return the curve of each tensor in the first run: single steps of one row."""
    curves: dict[str, tuple[float, ...]] = {}
    for drift in drifts:
        curves.setdefault(drift.tensor, tuple(drift.curve.tolist()))
    return curves
