"""A report as JUnit XML: counts, places, reasons, and whatever text a report may hold."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgernn.parity.report.data import ArtifactReport, Check, Status, VerifyReport
from edgernn.parity.report.junit import to_junit

HOSTILE = "\x00\x1b[31m\ud800 <&>\"' ]]> \ufffe\u202e\r\n\té"


def artifact(path: str, *checks: Check) -> ArtifactReport:
    return ArtifactReport(path=path, format="onnx", precision="float32", bytes=1234, checks=checks)


def report(*artifacts: ArtifactReport) -> VerifyReport:
    return VerifyReport(bundle="tiny", reference="eager torch", steps=8, artifacts=artifacts)


def check(name: str, status: Status, detail: str = "") -> Check:
    return Check(name=name, status=status, detail=detail, measured={"worst_scaled": 0.25})


def parsed(made: VerifyReport) -> Xml.Element:
    return Xml.fromstring(to_junit(made).encode())


def counts(element: Xml.Element) -> dict[str, int]:
    return {kind: int(element.attrib[kind]) for kind in ("tests", "failures", "errors", "skipped")}


def test_what_was_only_read_did_not_pass() -> None:
    own = artifact(
        "c/step",
        check("contract", "passed"),
        check("structure", "passed"),
        check("rollout", "not run", "no compiler"),
    )
    root = parsed(report(own))
    assert not report(own).passed
    says = (
        "NOT verified: 0 of 1 artifact passed over 8 steps only (a full check has 256), 1 read and "
    )
    headlines = {fact.get("value") for fact in root.iter("property")}
    assert any(
        (text or "").startswith(f"{says}NOT run; NOT checked: rollout") for text in headlines
    )
    (failure,) = root.iter("failure")
    assert (failure.get("message") or "").startswith("nothing was verified: 0 of 1 artifact passed")


def test_a_suite_per_artifact_and_a_case_per_check() -> None:
    first = artifact(
        "onnx/step.onnx", check("contract", "passed"), check("rollout", "failed", "too far")
    )
    second = artifact(
        "coreml/step.mlpackage", check("golden", "passed"), check("rollout", "not run", "no Mac")
    )
    root = parsed(report(first, second))
    assert root.tag == "testsuites"
    assert counts(root) == {"tests": 4, "failures": 1, "errors": 0, "skipped": 1}
    suites = root.findall("testsuite")
    assert [suite.get("name") for suite in suites] == ["onnx/step.onnx", "coreml/step.mlpackage"]
    assert counts(suites[0]) == {"tests": 2, "failures": 1, "errors": 0, "skipped": 0}
    assert counts(suites[1]) == {"tests": 2, "failures": 0, "errors": 0, "skipped": 1}
    cases = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert cases[:2] == [("onnx/step.onnx", "contract"), ("onnx/step.onnx", "rollout")]
    (failure,) = root.iter("failure")
    assert failure.get("message") == "too far"
    assert failure.text == "too far\nworst scaled: 0.25"
    assert [skipped.get("message") for skipped in root.iter("skipped")] == ["no Mac"]
    facts = {fact.get("name"): fact.get("value") for fact in suites[0].iter("property")}
    assert facts.pop("headline").startswith(
        "NOT verified: 1 of 2 artifacts passed over 8 steps only"
    )
    assert facts == {
        **{"format": "onnx", "precision": "float32", "bytes": "1234", "reference": "eager torch"},
        **{"steps": "8", "seed": "0", "made": ""},
    }


@pytest.mark.parametrize(
    "artifacts",
    [
        (),
        (artifact("a", check("golden", "passed")),),
        (artifact("a", check("golden", "failed")),),
        (artifact("a", check("golden", "not run")),),
        (artifact("a", check("golden", "not run")), artifact("b", check("golden", "passed"))),
    ],
    ids=["none", "passed", "failed", "not run", "one of two"],
)
def test_it_fails_exactly_when_the_report_does(artifacts: tuple[ArtifactReport, ...]) -> None:
    made = report(*artifacts)
    assert (counts(parsed(made))["failures"] == 0) is made.passed


def test_hostile_text_is_kept_and_harmless() -> None:
    made = VerifyReport(
        bundle=HOSTILE,
        reference=HOSTILE,
        steps=1,
        artifacts=(
            artifact(HOSTILE, check(HOSTILE, "failed", HOSTILE), check("b", "not run", HOSTILE)),
        ),
    )
    (failure,) = parsed(made).iter("failure")
    assert failure.get("message") == "\\x00\\x1b[31m\\ud800 <&>\"' ]]> \\ufffe\\u202e\\r\n\té"


@given(st.text(st.characters(codec=None)), st.sampled_from(["passed", "failed", "not run"]))
def test_any_text_gives_valid_xml(text: str, status: Status) -> None:
    root = parsed(report(artifact(text, check(text, status, text))))
    assert len(list(root.iter("testsuite"))) == (1 if status != "not run" else 2)
