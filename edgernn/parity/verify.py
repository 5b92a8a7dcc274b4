"""Verify a bundle: every artifact against the reference, over chained runs, with a verdict per check.

The reference is, in this order: the checkpoint that the caller names, the one inside the bundle, else the recorded golden run
alone; the report says which. A check that this machine cannot make is reported as not run, never as passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from edgernn import formats, storage
from edgernn.bundle import REPORT, SUFFIX, Bundle
from edgernn.contract import FileContract, file_problems
from edgernn.decoding.generate import greedy_tokens
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.manifest import Artifact, ParityRecord
from edgernn.parity import golden, rollout
from edgernn.parity.report import ArtifactReport, Check, Status, VerifyReport
from edgernn.parity.rollout import Drift
from edgernn.sessions.base import Session
from edgernn.sessions.opening import open_artifact, session_class
from edgernn.tolerances import Tolerance, tolerance

DEFAULT_STEPS = 256
_SEED = 7

Tell = Callable[[str], None]


def verify_bundle(
    source: Path | str | Bundle,
    *,
    to: Iterable[str] | str | None = None,
    steps: int = DEFAULT_STEPS,
    reference: Path | None = None,
    write_report: bool = False,
    tell: Tell = lambda line: None,
) -> VerifyReport:
    """Check every artifact of a bundle, or those of the formats in ``to``.

    Args:
        source: an opened bundle, or the path of one.
        to: formats or families; default all.
        steps: length of each rollout and of the greedy text.
        reference: a checkpoint folder to compare with, instead of the bundle's own.
        write_report: also write ``report.json`` into a folder bundle.
        tell: hears, one line each, what is being done.

    Raises:
        BundleError: the bundle cannot be opened; digests are part of that.
        UsageError: ``steps`` below 1, or no artifact is of the formats asked for.
    """
    if steps < 1:
        raise UsageError(f"steps is {steps}, expected 1 or more")
    wanted = {row.name for row in formats.select(to)}
    bundle = source if isinstance(source, Bundle) else Bundle.open(Path(source))
    unknown = {artifact.format for artifact in bundle.manifest.artifacts} - set(formats.FORMATS) if to is None else set()
    artifacts = [artifact for artifact in bundle.manifest.artifacts if artifact.format in wanted | unknown]
    if not artifacts:
        present = ", ".join(sorted({artifact.format for artifact in bundle.manifest.artifacts})) or "none"
        raise UsageError(f"{bundle.source} has no artifact in {', '.join(sorted(wanted))}; it has: {present}")
    judge, words = _reference(bundle, reference)
    reports = []
    for artifact in artifacts:
        tell(f"verifying {artifact.path}")
        reports.append(_verify_artifact(bundle, artifact, judge, steps=steps))
    report = VerifyReport(bundle=str(bundle.source), reference=words, steps=steps, artifacts=tuple(reports))
    if write_report and bundle.source.suffix != SUFFIX:
        storage.write_text(bundle.source / REPORT, report.to_json())
    return report


def measure(reference: Session, candidate: Session, *, limit: Tolerance, steps: int) -> ParityRecord:
    """Roll ``candidate`` out against ``reference`` over every plan its file allows; return the worst tensor."""
    worst = max(_rollouts(reference, candidate, steps), key=lambda r: r.worst.scaled).worst
    return ParityRecord(steps=steps, worst=worst.scaled, tensor=worst.tensor, tolerance=limit.rollout)


def _reference(bundle: Bundle, reference: Path | None) -> tuple[Session | None, str]:
    row = formats.REFERENCE
    inner = bundle.manifest.reference
    if reference is None and inner is None:
        return None, "the recorded golden run alone (the bundle carries no reference)"
    try:
        session = formats.resolve(row.session, needed_for="the reference", extra=row.run_extra)
    except UnavailableError:
        if reference is not None:
            raise
        return None, "the recorded golden run alone (torch is not installed)"
    path = reference or bundle.path(inner or "")
    contract = FileContract(contract=bundle.manifest.contract, decoding=bundle.manifest.decoding)
    judge: Session = session.open(path, contract)
    if judge.model.config.contract() != bundle.manifest.contract:  # type: ignore[attr-defined]
        raise UsageError(
            f"the reference {path} has another contract than {bundle.source}; give the checkpoint it was exported from"
        )
    return judge, f"eager torch from {'the bundle' if reference is None else reference}"


def _verify_artifact(bundle: Bundle, artifact: Artifact, judge: Session | None, *, steps: int) -> ArtifactReport:
    if artifact.format not in formats.FORMATS:
        told = f"this edgernn does not know the format {artifact.format!r}; use the one that exported it"
        return _report(artifact, [Check(name="contract", status="not run", detail=told)])
    checks = [_guarded("contract", lambda: _check_contract(bundle, artifact))]
    try:
        limit = tolerance(formats.by_name(artifact.format).family, artifact.precision)
        session = open_artifact(bundle, artifact)
    except (UnavailableError, ContractError) as error:
        status: Status = "not run" if isinstance(error, UnavailableError) else "failed"
        checks += [Check(name=name, status=status, detail=str(error)) for name in ("rollout", "greedy", "golden")]
    else:
        checks += [
            _guarded("rollout", lambda: _check_rollout(judge, session, limit, steps)),
            _guarded("greedy", lambda: _check_greedy(bundle, judge, session, steps)),
            _guarded("golden", lambda: _check_golden(bundle, session, limit)),
        ]
    return _report(artifact, checks)


def _report(artifact: Artifact, checks: list[Check]) -> ArtifactReport:
    return ArtifactReport(
        path=artifact.path,
        format=artifact.format,
        precision=artifact.precision,
        bytes=artifact.bytes,
        checks=tuple(checks),
    )


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """Make a check; what this machine lacks is not run, and a file that breaks on the way has failed."""
    try:
        return check()
    except UnavailableError as error:
        return Check(name=name, status="not run", detail=str(error))
    except ContractError as error:
        return Check(name=name, status="failed", detail=str(error))


def _check_contract(bundle: Bundle, artifact: Artifact) -> Check:
    """Names, axes, dtypes and metadata in the file itself, against the manifest."""
    description = session_class(artifact.format).describe(bundle.path(artifact.path))
    problems = file_problems(description, bundle.file_contract(artifact))
    interface = description.interface
    agreed = f"{len(interface.inputs)} inputs, {len(interface.outputs)} outputs, {len(interface.states)} kept states, metadata"
    return Check(name="contract", status="failed" if problems else "passed", detail="; ".join(problems) or agreed)


def _check_rollout(judge: Session | None, session: Session, limit: Tolerance, steps: int) -> Check:
    if judge is None:
        return Check(name="rollout", status="not run", detail="there is no reference to roll out; see golden")
    found = _rollouts(judge, session, steps)
    shapes = f"{len(found)} runs of {steps} steps, batch {sorted({r.plan.batch for r in found})}"
    lengths = sorted({length for run in found for length in run.plan.lengths})
    return _judged("rollout", [drift for run in found for drift in run.drifts], limit, f"{shapes}, T {lengths}")


def _rollouts(judge: Session, session: Session, steps: int) -> list[rollout.Rollout]:
    return [
        rollout.compare(judge, session, plan, seed=_SEED + index) for index, plan in enumerate(rollout.plans(session, steps))
    ]


def _check_greedy(bundle: Bundle, judge: Session | None, session: Session, steps: int) -> Check:
    if judge is None:
        return Check(name="greedy", status="not run", detail="there is no reference to write the same text; see golden")
    prompt = np.array(bundle.manifest.decoding.start, np.int64)
    expected, found = greedy_tokens(judge, prompt, steps), greedy_tokens(session, prompt, steps)
    agreed = next((i for i, (a, b) in enumerate(zip(expected, found, strict=True)) if a != b), steps)
    if agreed == steps:
        return Check(name="greedy", status="passed", detail=f"{steps} tokens identical", measured={"identical": steps})
    text = f"token {agreed} is {found[agreed]}, the reference writes {expected[agreed]}"
    return Check(name="greedy", status="failed", detail=text, measured={"identical": agreed})


def _check_golden(bundle: Bundle, session: Session, limit: Tolerance) -> Check:
    if bundle.manifest.golden is None:
        return Check(name="golden", status="not run", detail="the bundle carries no golden run")
    found = golden.replay(session, bundle.path(bundle.manifest.golden))
    return _judged("golden", found, limit, f"{len(found[0].curve)} recorded steps")


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
    )
