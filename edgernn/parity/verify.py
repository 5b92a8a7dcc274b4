"""Verify a bundle: every check on every artifact, into one report."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import edgernn
from edgernn import formats, storage
from edgernn.bundle import REPORT, REPORT_PAGE, Bundle
from edgernn.bundle.records import ParityRecord
from edgernn.errors import StorageError, UsageError
from edgernn.formats.promise import Tolerance
from edgernn.parity.checks import checks_of, run_check
from edgernn.parity.completeness import lacking
from edgernn.parity.reordered import rollouts
from edgernn.parity.report.data import ArtifactReport, VerifyReport
from edgernn.parity.report.html import to_html
from edgernn.parity.subject import DEFAULT_STEPS, Subject, subjects
from edgernn.sessions.base import Session
from edgernn.signing import check_signature

Tell = Callable[[str], None]


def verify_bundle(
    source: Path | str | Bundle,
    *,
    to: Iterable[str] | str | None = None,
    steps: int = DEFAULT_STEPS,
    seed: int | None = None,
    reference: Path | None = None,
    trust: bool = False,
    signed_by: Path | None = None,
    signer: str | None = None,
    runtime: str | None = None,
    runtime_path: Path | None = None,
    write_report: bool = False,
    tell: Tell = lambda line: None,
) -> VerifyReport:
    """Check every artifact of a bundle, or those of the formats in ``to``.

    Args:
        source: an opened bundle, or the path of one.
        to: formats, families or paths of artifacts; default all.
        steps: length of a run in single steps, and of the greedy text.
        seed: of the rows and call lengths that are drawn, 0 or more; None draws a seed, which the
            report names.
        reference: a checkpoint folder to compare with, instead of the bundle's own.
        trust: judge programs, as C, as they lie in the bundle, and not what is generated afresh
            from the graph beside them.
        signed_by, signer: whose signature the bundle must have, see ``signing.check_signature``;
            it is checked before anything in the bundle is run.
        runtime: another runtime than each format's own, as ``onnxruntime-web``; files that it does
            not run are left out, and ``tell`` hears of them.
        runtime_path: the folder that holds it.
        write_report: also write ``report.json`` and ``report.html`` into a folder bundle; ``tell``
            hears where it cannot.
        tell: hears, one line each, what is being done.

    Raises:
        BundleError: the bundle cannot be opened; digests are part of that.
        CheckFailedError: it has no signature, or another one than ``signed_by`` asks for.
        UsageError: ``steps`` below 1, ``seed`` below 0, no artifact is of the formats asked for,
            or an unknown runtime.
        UnavailableError: the runtime is not here; says what brings it.
    """
    row, kind = _other(runtime, runtime_path)
    bundle = Bundle.open(source, trust=trust)
    if signed_by is not None:
        signature = check_signature(bundle, signed_by, signer=signer).words
        tell(f"signed by {signature}")
    elif signer is not None:
        raise UsageError("--signer names who signed; give whom you trust with --signed-by")
    else:
        signature = ""
    found, words = subjects(
        bundle, to=to, steps=steps, seed=seed, reference=reference, kind=kind, runs=row
    )
    if row is not None:
        _tell_left_out(bundle, [subject.artifact.path for subject in found], runtime, tell)
    reports = []
    for subject in found:
        tell(f"verifying {subject.artifact.path}")
        reports.append(_verify(subject))
    report = VerifyReport(
        bundle=storage.as_utf8(bundle.source),
        reference=words,
        steps=steps,
        seed=found[0].seed,
        lacks=lacking(bundle),
        signed_by=signature,
        made=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        edgernn=edgernn.__version__,
        machine=_machine(),
        artifacts=tuple(reports),
    )
    if write_report and bundle.source.is_dir():
        _keep(report, bundle.source, tell)
    return report


def _other(
    runtime: str | None, folder: Path | None
) -> tuple[formats.Format | None, type[Session] | None]:
    """Return the row whose files another runtime runs, and the session that does; None for each
    format's own.
    """
    if runtime is None:
        if folder is not None:
            raise UsageError("--runtime-path names where a runtime lies; say which by --runtime")
        return None, None
    row = formats.run_by(runtime)
    session = formats.resolve(row.others[runtime], needed_for=f"running {runtime}", extra=None)
    return row, session.at(folder)


def _tell_left_out(bundle: Bundle, kept: list[str], runtime: str | None, tell: Tell) -> None:
    left = [a.path for a in bundle.manifest.artifacts if a.path not in kept]
    if left:
        tell(f"left out, as {runtime} does not run them here step by step: {', '.join(left)}")


def _keep(report: VerifyReport, folder: Path, tell: Tell) -> None:
    """Write the report into a folder bundle; where that is refused, the verdict stands all the
    same.
    """
    try:
        storage.write_text(folder / REPORT, report.to_json())
        storage.write_text(folder / REPORT_PAGE, to_html(report))
    except StorageError as error:
        tell(f"the report was not kept: {error}; --json FILE and --html FILE write it elsewhere")


def _machine() -> str:
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}"
    )


def measure(
    reference: Session, candidate: Session, *, limit: Tolerance, steps: int, seed: int
) -> ParityRecord:
    """Roll ``candidate`` out against ``reference`` over every plan its file allows; return the
    worst tensor.
    """
    runs = rollouts(reference, candidate, steps, limit=limit, seed=seed)
    found = [(run.plan.steps, drift) for run in runs for drift in run.drifts]
    length, worst = max(found, key=lambda pair: pair[1].scaled)
    return ParityRecord(
        steps=length, worst=worst.scaled, tensor=worst.tensor, tolerance=limit.rollout, seed=seed
    )


def _verify(subject: Subject) -> ArtifactReport:
    artifact = subject.artifact
    return ArtifactReport(
        path=artifact.path,
        format=artifact.format,
        precision=artifact.precision,
        bytes=artifact.bytes,
        runtime=subject.runtime,
        checks=tuple(run_check(subject, name) for name in checks_of(artifact)),
    )
