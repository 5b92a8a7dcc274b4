"""What counts as passed: something was checked, and nothing failed."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from edgernn.parity.report.data import ArtifactReport, Check, Status, VerifyReport
from edgernn.parity.report.wording import headline


def artifact(*statuses: Status) -> ArtifactReport:
    checks = tuple(
        Check(name=f"check {index}", status=status, detail="")
        for index, status in enumerate(statuses)
    )
    return ArtifactReport(
        path="onnx/step.onnx", format="onnx", precision="float32", bytes=1, checks=checks
    )


def report(*artifacts: ArtifactReport) -> VerifyReport:
    return VerifyReport(bundle="tiny", reference="eager torch", steps=8, artifacts=artifacts)


@pytest.mark.parametrize(
    ("statuses", "passed"),
    [
        (("passed",), True),
        (("passed", "passed"), True),
        (("passed", "not run"), True),
        (("not run", "passed", "not run"), True),
        (("failed",), False),
        (("passed", "failed"), False),
        (("passed", "not run", "failed"), False),
        (("not run",), False),
        (("not run", "not run"), False),
        ((), False),
    ],
    ids=str,
)
def test_an_artifact(statuses: tuple[Status, ...], passed: bool) -> None:
    assert artifact(*statuses).passed is passed


def test_a_report_needs_every_artifact() -> None:
    assert report(artifact("passed"), artifact("passed", "not run")).passed
    assert not report(artifact("passed"), artifact("failed")).passed
    assert report(artifact("not run"), artifact("passed")).passed
    assert not report(artifact("not run")).passed
    assert not report().passed


def test_the_json_has_the_verdicts() -> None:
    content = json.loads(report(artifact("passed"), artifact("failed")).to_json())
    assert content["passed"] is False
    assert [entry["passed"] for entry in content["artifacts"]] == [True, False]
    assert (content["bundle"], content["reference"], content["steps"]) == ("tiny", "eager torch", 8)
    assert content["artifacts"][0]["checks"][0] == {
        "name": "check 0",
        "status": "passed",
        "detail": "",
        "applies": True,
        "measured": {},
        "curves": {},
    }


def test_a_report_comes_back_from_its_json() -> None:
    before = report(artifact("passed", "not run"), artifact("failed"))
    after = VerifyReport.model_validate_json(before.to_json())
    assert after == before
    assert after.passed is False


def test_a_report_does_not_change() -> None:
    check = Check(name="golden", status="failed", detail="")
    with pytest.raises(ValidationError, match="frozen"):
        check.status = "passed"  # type: ignore[misc]


def test_an_unknown_status() -> None:
    with pytest.raises(ValidationError, match="status"):
        Check.model_validate({"name": "golden", "status": "skipped", "detail": ""})


def test_the_headline_says_how_deep_and_what_was_not_checked() -> None:
    whole = report(artifact("passed")).model_copy(update={"steps": 256})
    assert headline(whole) == "verified: 1 of 1 artifact passed over 256 steps"
    short = report(artifact("passed", "not run"), artifact("not run"))
    short = short.model_copy(update={"lacks": ("a golden run", "sampler vectors")})
    assert headline(short) == (
        "verified: 1 of 2 artifacts passed over 8 steps only (a full check has 256), 1 could "
        "not be judged; "
        "NOT checked: check 1, check 0 (no reason was given); the bundle lacks a golden run, "
        "sampler vectors"
    )
    assert headline(report(artifact("failed"))).startswith("NOT verified: 0 of 1 artifact passed")
