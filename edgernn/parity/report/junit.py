"""A report as JUnit XML, which continuous integration shows beside its own tests.

One testsuite per artifact and one testcase per check; a check that was not run is skipped.
"""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from edgernn.parity.report.data import ArtifactReport, Check, VerifyReport
from edgernn.parity.report.wording import headline, measured_lines, outcome
from edgernn.wording import plain


def to_junit(report: VerifyReport) -> str:
    """Return ``report`` as a JUnit XML document.

    The file has a failure exactly when the report has not passed: where nothing could be checked, a
    last testcase says so.
    """
    root = Xml.Element("testsuites", name=plain(report.bundle))
    for artifact in report.artifacts:
        root.append(_suite(report, artifact))
    if not report.passed and not any(artifact.failed for artifact in report.artifacts):
        root.append(_nothing_checked(report))
    suites = list(root)
    for kind in ("tests", "failures", "errors", "skipped"):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in suites)))
    Xml.indent(root)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"
    )


def _suite(report: VerifyReport, artifact: ArtifactReport) -> Xml.Element:
    suite = Xml.Element("testsuite", name=plain(artifact.path))
    properties = Xml.SubElement(suite, "properties")
    facts = {"format": artifact.format, "precision": artifact.precision, "bytes": artifact.bytes}
    facts |= {"signed by": report.signed_by} if report.signed_by else {}
    for name, fact in {**facts, "reference": report.reference, **_depth(report)}.items():
        Xml.SubElement(properties, "property", name=name, value=plain(str(fact)))
    for check in artifact.checks:
        suite.append(_case(artifact, check))
    return _count(suite)


def _depth(report: VerifyReport) -> dict[str, str | int]:
    return {
        "steps": report.steps,
        "seed": report.seed,
        "headline": headline(report),
        "made": report.made,
    }


def _case(artifact: ArtifactReport, check: Check) -> Xml.Element:
    case = Xml.Element("testcase", name=plain(check.name), classname=plain(artifact.path))
    numbers = "\n".join(measured_lines(check))
    if check.status == "failed":
        failure = Xml.SubElement(case, "failure", message=plain(check.detail), type="parity")
        failure.text = "\n".join(filter(None, (plain(check.detail), numbers)))
    elif check.status == "not run":
        Xml.SubElement(case, "skipped", message=plain(check.detail))
    else:
        Xml.SubElement(case, "system-out").text = "\n".join(
            filter(None, (plain(check.detail), numbers))
        )
    return case


def _nothing_checked(report: VerifyReport) -> Xml.Element:
    suite = Xml.Element("testsuite", name="verify")
    case = Xml.SubElement(suite, "testcase", name="something was checked", classname="verify")
    Xml.SubElement(
        case, "failure", message=f"nothing was verified: {outcome(report)}", type="parity"
    )
    return _count(suite)


def _count(suite: Xml.Element) -> Xml.Element:
    kinds = {
        "tests": "testcase",
        "failures": "testcase/failure",
        "errors": "testcase/error",
        "skipped": "testcase/skipped",
    }
    for kind, path in kinds.items():
        suite.set(kind, str(len(suite.findall(path))))
    return suite
