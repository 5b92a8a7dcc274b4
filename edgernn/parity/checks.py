"""The checks, by name: each takes one artifact and gives one verdict with the numbers behind it.

A check that this machine cannot make is "not run", never "passed". A new check is one function and
one row of ``CHECKS``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgernn import formats
from edgernn.bundle.records import Artifact
from edgernn.contract.in_graph import DECODERS
from edgernn.errors import ContractError, UnavailableError
from edgernn.formats.promise import Tolerance
from edgernn.parity import (
    buffers,
    defaults,
    golden,
    in_graph,
    invariance,
    libraries,
    memory,
    own_graph,
    rare,
    reordered,
    written,
)
from edgernn.parity.claims import step_problem
from edgernn.parity.contract_check import check_contract
from edgernn.parity.drift import Drift
from edgernn.parity.latency import latency_problem
from edgernn.parity.losses import check_text
from edgernn.parity.report.data import Check
from edgernn.parity.rollout import MOST_PICTURES
from edgernn.parity.shapes import draw
from edgernn.parity.structure import reading as structure
from edgernn.parity.subject import Subject
from edgernn.sessions.one_row import one_row
from edgernn.wording import counted

_INVARIANCE_STEPS = 48
_FEWEST_TEXT_TOKENS = 32


def run_check(subject: Subject, name: str) -> Check:
    """Make the check ``name``; what this machine lacks is not run, and a file that breaks on the
    way has failed.
    """
    try:
        if subject.artifact.format not in formats.FORMATS:
            known = "this edgernn does not know the format"
            raise UnavailableError(
                f"{known} {subject.artifact.format!r}; use the one that exported it"
            )
        return CHECKS[name](subject)
    except UnavailableError as error:
        return Check(name=name, status="not run", detail=str(error))
    except ContractError as error:
        return Check(name=name, status="failed", detail=str(error))


def check_rollout(subject: Subject) -> Check:
    """Outputs and states of chained runs, each side on its own state, at every call."""
    limit, session = subject.limit, subject.session
    if subject.judge is None:
        return Check(
            name="rollout", status="not run", detail="there is no reference to roll out; see golden"
        )
    found = reordered.rollouts(
        subject.judge, session, subject.steps, limit=limit, seed=subject.seed
    )
    steps = ", ".join(str(run.plan.steps) for run in found)
    lengths = sorted({length for run in found for length in run.plan.lengths})
    shapes = (
        f"{counted(len(found), 'run')} of {steps} {session.spec.unit}s, batch "
        f"{sorted({r.plan.batch for r in found})}, T {lengths}"
    )
    chaotic = reordered.chaotic_words(
        [run.own for run in found], "of the runs", "judged step by step from its state"
    )
    drifts = [drift for run in found for drift in run.drifts]
    judged = _judged("rollout", drifts, limit, f"{shapes}{_forced(limit)}{chaotic}")
    alone = "" if session.spec.once else defaults.words(session, subject.steps, seed=subject.seed)
    judged = judged.model_copy(update={"detail": judged.detail + alone})
    if problem := step_problem(subject.artifact.parity, judged.measured["worst_scaled"], limit):
        judged = judged.model_copy(
            update={"status": "failed", "detail": f"{problem}; {judged.detail}"}
        )
    if session.spec.once:
        return judged
    seldom = rare.probe(subject.judge, session, limit=limit, seed=subject.seed)
    if seldom.is_right:
        return judged.model_copy(update={"detail": f"{judged.detail}; {seldom.words}"})
    return judged.model_copy(
        update={"status": "failed", "detail": f"{seldom.words}; {judged.detail}"}
    )


def check_invariance(subject: Subject) -> Check:
    """What must not matter: cuts in time, company in the batch, where the state has been, what was
    asked before. And what must: the frame that a late output is to speak of.
    """
    limit, session = subject.limit, subject.session
    steps = min(subject.steps, MOST_PICTURES if session.spec.once else _INVARIANCE_STEPS)
    shapes = draw(subject.seed)
    found = {
        name: invariance.measure(
            check, session, shapes, steps, judge=subject.judge, limit=limit.rollout, half=limit.half
        )
        for name, check in invariance.INVARIANCES.items()
    }
    made = {name: measured for name, measured in found.items() if measured.drifts}
    broken = [name for name, measured in made.items() if not measured.worst <= limit.rollout]
    again = {
        "memory": memory.repeats(session, subject.fresh(), shapes),
        "buffers": buffers.poisoned(session, [*memory.calls_of(session, shapes)]),
    }
    least = min(memory.TOLERANCE, limit.rollout)
    broken += [
        name for name, drifts in again.items() if not max(drift.scaled for drift in drifts) <= least
    ]
    contract = subject.bundle.manifest.contract
    late = latency_problem(subject.judge or session, contract.latency_frames)
    broken += ["latency"] if late else []
    what = f"{', '.join([*made, *again])} over {steps} {session.spec.unit}s"
    left_out = invariance.left_out(session)
    what += f"; no rows: {left_out}" if left_out else ""
    what += f"; BROKEN: {', '.join(broken)}" if broken else ""
    what += f"; {late}" if late else ""
    shorter = min((measured.steps for measured in made.values()), default=steps)
    what += reordered.chaotic_words(
        [measured.own for measured in made.values()], "of these", f"judged over {shorter} steps"
    )
    drifts = [drift for measured in made.values() for drift in measured.drifts]
    drifts += [drift for each in again.values() for drift in each]
    judged = _judged("invariance", drifts, limit, what)
    return judged.model_copy(update={"status": "failed"}) if broken else judged


def check_greedy(subject: Subject) -> Check:
    """What it writes: the most probable text, each token fed back; or the captions of held-out
    pictures, and by beam search.
    """
    if subject.family.writes is None:
        return Check(
            name="greedy",
            status="not run",
            applies=False,
            detail="not applicable: the model writes no text",
        )
    if subject.reference is None:
        return Check(
            name="greedy",
            status="not run",
            detail="there is no reference to write the same; see golden",
        )
    return written.COMPARED[subject.family.writes](subject, subject.reference)


def check_golden(subject: Subject) -> Check:
    """The recorded run, replayed from its own start: what a device does without a reference."""
    limit, session = subject.limit, subject.session
    inner = subject.bundle.manifest.golden
    if inner is None:
        return Check(name="golden", status="not run", detail="the bundle carries no golden run")
    path = subject.bundle.path(inner)
    if problem := golden.shortfall(path, session.contract):
        return Check(name="golden", status="failed", detail=problem)
    found = golden.replay(session, path, forced=limit.forced)
    unit = session.spec.unit if session.spec.once else f"{session.spec.unit}s"
    what = f"{len(found[0].curve)} recorded {unit}{_forced(limit)}"
    far = max(drift.scaled for drift in found)
    if not session.spec.once and not limit.forced and not far <= limit.rollout:
        judge = one_row(subject.judge or session)
        own = golden.parting(judge, reordered.Reordered(judge, half=limit.half), path)
        if reordered.parts_as_far(own, far):
            found = golden.replay(session, path, forced=True, relative=False)
            what += reordered.chaotic_words(
                [own], "run", "judged step by step from the recorded states"
            )
    return _judged("golden", found, limit, what)


def check_decoding(subject: Subject) -> Check:
    """What a file writes in one call: token for token what the host's own decoder writes over the
    step file beside it.
    """
    return in_graph.check(subject)


def check_structure(subject: Subject) -> Check:
    """What samples cannot show: the graph depends on no size, branches on nothing, keeps nothing,
    and stores what it says.
    """
    return structure.check(subject)


def check_libraries(subject: Subject) -> Check:
    """What it carries for other machines, built again from its text where the compiler is here."""
    return libraries.check(subject)


def check_own_graph(subject: Subject) -> Check:
    """Generated integers against the graph that they come from, in another runtime."""
    return own_graph.check(subject)


def checks_of(artifact: Artifact) -> tuple[str, ...]:
    """Return the names of the checks that are made of an artifact."""
    if artifact.graph in DECODERS:
        return ("contract", "structure", "decoding")
    left_out = {"decoding"}
    left_out |= set() if artifact.libraries else {libraries.NAME}
    left_out |= set() if own_graph.has_own_graph(artifact) else {own_graph.NAME}
    return tuple(name for name in CHECKS if name not in left_out)


CHECKS: dict[str, Callable[[Subject], Check]] = {
    "contract": check_contract,
    "structure": check_structure,
    libraries.NAME: check_libraries,
    own_graph.NAME: check_own_graph,
    "rollout": check_rollout,
    "invariance": check_invariance,
    "text": check_text,
    "greedy": check_greedy,
    "golden": check_golden,
    "decoding": check_decoding,
}


def _forced(limit: Tolerance) -> str:
    """Say what the numbers of a forced run are."""
    return ", each from the reference's state, relative error" if limit.forced else ""


def _judged(name: str, drifts: Sequence[Drift], limit: Tolerance, what: str) -> Check:
    worst = max(drifts, key=lambda drift: drift.scaled)
    by_tensor: dict[str, float] = {}
    for drift in drifts:
        by_tensor[drift.tensor] = max(by_tensor.get(drift.tensor, 0.0), drift.scaled)
    return Check(
        name=name,
        status="passed" if worst.scaled <= limit.rollout else "failed",
        detail=(
            f"{what}; worst {worst.tensor} {worst.scaled:.1e} at call {worst.worst_call} "
            f"(tolerance {limit.rollout:g})"
        ),
        measured={
            "tensor": worst.tensor,
            "worst_by_tensor": by_tensor,
            "worst_scaled": worst.scaled,
            "worst_call": worst.worst_call,
            "growth": worst.growth,
            "tolerance": limit.rollout,
        },
        curves=_curves(drifts),
    )


def _curves(drifts: Sequence[Drift]) -> dict[str, tuple[float, ...]]:
    """Return the curve of each tensor in the first run: single steps of one row."""
    curves: dict[str, tuple[float, ...]] = {}
    for drift in drifts:
        curves.setdefault(drift.tensor, tuple(drift.scaled_curve.tolist()))
    return curves
