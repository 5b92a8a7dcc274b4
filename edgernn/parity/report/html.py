"""A report as one HTML page to publish with a release: no scripts, nothing fetched, well-formed as
XML too.

From the top: the verdict, what it was compared with, artifacts against checks, then each artifact
with its numbers and plots. The page shows the bundle's name, not where it lay.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import PurePath
from typing import Any

import edgernn
from edgernn.parity.checks import CHECKS
from edgernn.parity.report import svg
from edgernn.parity.report.data import ArtifactReport, Check, Status, VerifyReport
from edgernn.parity.report.stylesheet import CSS
from edgernn.parity.report.wording import label, outcome, value
from edgernn.wording import counted, plain, size

_MARK: dict[Status, str] = {"passed": "✓", "failed": "✗", "not run": "–"}
_FEWEST_DRAWN = 8  # shorter curves are read better in their table
_MEASURE = (
    "Every difference on this page is scaled: the largest absolute difference of a tensor at a "
    "call, divided by the larger of "
    "1 and the largest value that the reference has in that tensor over the run; of weights in "
    "integers the root mean square "
    "of both. That is what a tolerance speaks of. Plots and tables show the first run of a "
    "check, single steps of one row; the "
    "worst of all runs stands in the check's own line."
)


def to_html(report: VerifyReport) -> str:
    """Return ``report`` as a whole HTML document; every text of the report is escaped."""
    name = _text(PurePath(report.bundle).name or report.bundle)
    verdict = "verified" if report.passed else "NOT verified"
    sections = (_artifact(artifact, index) for index, artifact in enumerate(report.artifacts))
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en" xmlns="http://www.w3.org/1999/xhtml">',
            '<head><meta charset="utf-8"/><meta name="viewport" content="width=device-width, '
            'initial-scale=1"/>',
            '<meta name="color-scheme" content="light dark"/>',
            f"<title>{name}: {verdict}</title><style>{CSS}</style></head>",
            "<body><main>",
            f'<p class="kicker">Parity report</p><h1>{name}</h1>',
            _verdict(report),
            _overview(report),
            *sections,
            _glossary(report),
            "</main>",
            f"<footer>Written by edgernn {_text(report.edgernn or edgernn.__version__)}.</footer>",
            "</body></html>\n",
        )
    )


def _text(text: str) -> str:
    """Return ``text`` escaped for an element or a quoted attribute."""
    return escape(plain(text))


def _path(path: str) -> str:
    """Return a path that may be broken after each folder and before each ``_`` and ``.``."""
    return (
        '<span class="path">'
        + re.sub(r"([_.])", r"<wbr/>\1", _text(path).replace("/", "/<wbr/>"))
        + "</span>"
    )


def _meta(text: str) -> str:
    return f'<span class="meta">{_text(text)}</span>'


def _status(status: Status) -> str:
    return (
        f'<span class="status {status.replace(" ", "-")}"><span '
        f'aria-hidden="true">{_MARK[status]}</span> {status}</span>'
    )


def _artifact_status(artifact: ArtifactReport) -> Status:
    return "failed" if artifact.failed else "passed" if artifact.passed else "not run"


def _verdict(report: VerifyReport) -> str:
    words, status = ("Verified", "passed") if report.passed else ("Not verified", "failed")
    mark = _MARK["passed" if report.passed else "failed"]
    facts = {
        "Compared with": report.reference,
        **({"Signed by": report.signed_by} if report.signed_by else {}),
        "Length of a run": counted(report.steps, "step"),
        "A difference": (
            "scaled: divided by the larger of 1 and the reference's largest value in that tensor"
        ),
        "Shapes drawn by": f"seed {report.seed}",
        "Made": ", ".join(filter(None, (report.made, report.machine))) or "not recorded",
        "Size": (
            f"{size(sum(artifact.bytes for artifact in report.artifacts))} in "
            f"{counted(len(report.artifacts), 'artifact')}"
        ),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{_text(fact)}</dd>" for name, fact in facts.items())
    return (
        f'<div class="verdict {status}"><p><strong><span aria-hidden="true">{mark}</span> '
        f"{words}</strong></p>"
        f'<p>{_text(outcome(report))}.</p></div><dl class="facts">{rows}</dl>'
    )


def _names(report: VerifyReport) -> list[str]:
    """Return every check's name, in the order in which they first come."""
    return list(
        dict.fromkeys(check.name for artifact in report.artifacts for check in artifact.checks)
    )


def _overview(report: VerifyReport) -> str:
    names = _names(report)
    heads = "".join(f'<th scope="col">{_text(name)}</th>' for name in names)
    rows = []
    for index, artifact in enumerate(report.artifacts):
        found = {check.name: _status(check.status) for check in artifact.checks}
        cells = "".join(f"<td>{found.get(name, 'no such check')}</td>" for name in names)
        link = f'<a href="#artifact-{index}">{_path(artifact.path)}</a>'
        rows.append(
            f'<tr><th scope="row">{link}{_meta(f"ran in {artifact.runtime}")}</th>'
            f"<td>{_text(artifact.precision)}</td><td "
            f'class="number">{size(artifact.bytes)}</td>{cells}</tr>'
        )
    return (
        '<h2 id="overview">Artifacts and checks</h2>'
        '<div class="scroll" role="region" aria-labelledby="overview" tabindex="0"><table '
        'class="overview"><thead><tr>'
        '<th scope="col">artifact</th><th scope="col">precision</th><th scope="col" '
        f'class="number">size</th>{heads}'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _artifact(artifact: ArtifactReport, index: int) -> str:
    groups = "".join(
        _checks(group, artifact, f"check-{index}-{at}")
        for at, group in enumerate(_grouped(artifact.checks))
    )
    facts = (
        f"{artifact.format}, {artifact.precision}, {size(artifact.bytes)}, ran in "
        f"{artifact.runtime}"
    )
    return (
        f'<section aria-labelledby="artifact-{index}"><h2 '
        f'id="artifact-{index}">{_path(artifact.path)} '
        f"{_status(_artifact_status(artifact))}</h2>{_meta(facts)}{groups}</section>"
    )


def _grouped(checks: Iterable[Check]) -> list[list[Check]]:
    """Put checks that were not run for the same reason together; every other check stands alone."""
    groups: list[list[Check]] = []
    for check in checks:
        alike = (
            group
            for group in groups
            if check.status == group[0].status == "not run" and check.detail == group[0].detail
        )
        if (group := next(alike, None)) is not None:
            group.append(check)
        else:
            groups.append([check])
    return groups


def _checks(group: Sequence[Check], artifact: ArtifactReport, identifier: str) -> str:
    first = group[0]
    names = ", ".join(_text(check.name) for check in group)
    evidence = "".join(
        _evidence(check, artifact, f"{identifier}-{at}") for at, check in enumerate(group)
    )
    return (
        f'<div class="check {first.status.replace(" ", "-")}"><h3>{names} '
        f"{_status(first.status)}</h3>"
        f'<p class="detail">{_text(first.detail)}</p>{evidence}</div>'
    )


def _evidence(check: Check, artifact: ArtifactReport, identifier: str) -> str:
    """Return plot and numbers of a check, or nothing where it measured nothing."""
    curves = {name: curve for name, curve in check.curves.items() if curve}
    rows = "".join(
        f"<dt>{_text(label(name))}</dt><dd>{_value(found)}</dd>"
        for name, found in check.measured.items()
    )
    numbers = f'<dl class="measured">{rows}</dl>' if rows else ""
    if not curves:
        return f'<div class="evidence">{numbers}</div>' if numbers else ""
    drawn = max(map(len, curves.values())) >= _FEWEST_DRAWN
    table = f'<div class="numbers">{_legend(curves, drawn=drawn)}{numbers}</div>'
    if not drawn:
        return f'<div class="evidence">{table}</div>'
    limit = check.measured.get("tolerance")
    tolerance = float(limit) if isinstance(limit, (int, float)) else None
    title = f"{check.name} of {artifact.path}: error over calls"
    picture = svg.plot(curves, tolerance=tolerance, title=title, identifier=identifier)
    return (
        '<div class="evidence drawn"><figure><figcaption>Scaled difference at each call of the '
        "first run</figcaption>"
        f"{picture}</figure>{table}</div>"
    )


def _value(found: Any) -> str:
    """Return a measured value, escaped; the entries of a mapping are not broken over lines."""
    if isinstance(found, Mapping) and found:
        return ", ".join(
            f"<span>{_text(value({name: inner}))}</span>" for name, inner in found.items()
        )
    return _text(value(found))


def _legend(curves: Mapping[str, Sequence[float]], *, drawn: bool) -> str:
    """Return a table of each tensor's largest value and where that is, with a sample of its line
    where it is drawn.
    """
    rows = []
    for index, (name, curve) in enumerate(curves.items()):
        worst = max(
            range(len(curve)), key=lambda at: curve[at] if math.isfinite(curve[at]) else math.inf
        )
        line = f'<line class="{svg.line_class(index)}" x1="0" x2="32" y1="5" y2="5"/>'
        sample = f'<svg viewBox="0 0 32 10" aria-hidden="true">{line}</svg>' if drawn else ""
        rows.append(
            f'<tr><th scope="row">{sample}{_text(name)}</th>'
            f'<td class="number">{value(float(curve[worst]))}</td><td '
            f'class="number">{worst}</td></tr>'
        )
    heads = (
        '<th scope="col">tensor</th><th scope="col" class="number">largest</th><th scope="col" '
        'class="number">at call</th>'
    )
    caption = "<caption>First run, per tensor</caption>"
    return (
        f'<table class="curves">{caption}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


def _glossary(report: VerifyReport) -> str:
    """Say what each check of the report looks at, in the check's own words, and how differences are
    measured.
    """
    known = [(name, inspect.getdoc(CHECKS[name])) for name in _names(report) if name in CHECKS]
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(words.splitlines()[0])}</dd>"
        for name, words in known
        if words
    )
    listed = f'<dl class="facts">{rows}</dl>' if rows else ""
    return (
        f'<section><h2>What the checks look at</h2>{listed}<p class="note">{_MEASURE}</p></section>'
    )
