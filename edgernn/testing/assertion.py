"""``assert_parity``: the whole verification as one line in somebody's own tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn import storage
from edgernn.bundle import SUFFIX, Bundle
from edgernn.bundle.manifest import MANIFEST
from edgernn.errors import ContractError, UsageError
from edgernn.parity.report.data import ArtifactReport, VerifyReport
from edgernn.parity.report.wording import measured_lines, outcome
from edgernn.parity.subject import DEFAULT_STEPS
from edgernn.parity.verify import verify_bundle
from edgernn.storage.identify import name_of_object
from edgernn.wording import plain

if TYPE_CHECKING:
    from edgernn.models.checkpoint import Checkpoint


def assert_parity(
    model: Path | str | Bundle | Checkpoint,
    *,
    to: Iterable[str] | str | None = None,
    precision: Iterable[str] | str | None = None,
    steps: int = DEFAULT_STEPS,
    reference: Path | None = None,
) -> VerifyReport:
    """Assert that every artifact computes what its reference computes.

    Args:
        model: a bundle or its path; or a checkpoint or its folder, which is exported to a temporary
            bundle first.
        to: formats or families to export and verify; default all that are exported by default.
        precision: precisions to export a checkpoint in; default each format's own.
        steps: length of each rollout and of the greedy text.
        reference: a checkpoint folder to compare with, instead of the bundle's own.

    Returns:
        The report, when at least one artifact passed and none failed.

    Raises:
        AssertionError: lists every check that failed; or says that nothing could be run.
        EdgernnError: what was given cannot be opened or exported, or an option is out of range.
    """
    formats = (
        list(to) if isinstance(to, Iterable) and not isinstance(to, str) else to
    )  # one that can be read twice
    if isinstance(model, Bundle) or (isinstance(model, (str, Path)) and _is_bundle(Path(model))):
        if precision is not None:
            raise UsageError(
                f"precision is {precision!r} but {model} is exported already; leave it out or "
                "give a checkpoint"
            )
        report = verify_bundle(model, to=formats, steps=steps, reference=reference)
    else:
        report = _export_and_verify(model, formats, precision, steps=steps, reference=reference)
    if not report.passed:
        raise AssertionError(_message(report))
    return report


def _is_bundle(path: Path) -> bool:
    """Whether to open ``path`` as a bundle: all but a folder without a manifest, which may be a
    checkpoint.
    """
    return path.suffix == SUFFIX or not path.is_dir() or (path / MANIFEST).is_file()


def _export_and_verify(
    source: Path | str | Checkpoint,
    to: Iterable[str] | str | None,
    precision: Iterable[str] | str | None,
    *,
    steps: int,
    reference: Path | None,
) -> VerifyReport:
    from edgernn.export.pack import export_bundle
    from edgernn.models.checkpoint import Checkpoint

    if not isinstance(source, (str, Path, Checkpoint)):
        raise UsageError(f"cannot verify this: {name_of_object(source)}")
    words = "the checkpoint that was given" if isinstance(source, Checkpoint) else str(source)
    with storage.scratch() as scratch:
        try:
            bundle = export_bundle(
                source, scratch / "bundle", to=to, precision=precision, steps=steps
            )
        except ContractError as error:
            raise AssertionError(
                f"no parity: {words} cannot be exported: {plain(str(error))}"
            ) from error
        report = verify_bundle(bundle, to=to, steps=steps, reference=reference)
    return report.model_copy(update={"bundle": words})


def _message(report: VerifyReport) -> str:
    failed = any(artifact.failed for artifact in report.artifacts)
    verdict = "no parity" if failed else "parity could not be judged"
    lines = [f"{verdict}: {plain(report.bundle)}: {outcome(report)}"]
    lines.append(f"  compared with {plain(report.reference)}, {report.steps} steps")
    for artifact in report.artifacts:
        lines += _failures(artifact) if failed else _unchecked(artifact)
    return "\n".join(lines)


def _failures(artifact: ArtifactReport) -> list[str]:
    lines = []
    for check in artifact.checks:
        if check.status == "failed":
            lines.append(
                f"  {plain(artifact.path)} ({plain(artifact.precision)}), {plain(check.name)}: "
                f"{plain(check.detail)}"
            )
            lines += [f"    {line}" for line in measured_lines(check)]
    return lines


def _unchecked(artifact: ArtifactReport) -> list[str]:
    """Return why the checks of an artifact were not run, each reason once."""
    reasons = dict.fromkeys(plain(check.detail) for check in artifact.checks)
    return [
        f"  {plain(artifact.path)} ({plain(artifact.precision)}), not run: {reason}"
        for reason in reasons
    ]
