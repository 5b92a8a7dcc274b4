"""What verify found, as data: a report of artifacts, each with its checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, computed_field

from edgernn.contract import Model

Status = Literal["passed", "failed", "not run"]


class Check(Model):
    """One check of one artifact: its verdict, one line for a person, and the numbers behind it."""

    name: str
    status: Status
    detail: str
    measured: dict[str, Any] = Field(default_factory=dict)


class ArtifactReport(Model):
    """All checks of one artifact."""

    path: str
    format: str
    precision: str
    bytes: int
    checks: tuple[Check, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether no check failed and at least one was run."""
        statuses = [check.status for check in self.checks]
        return "failed" not in statuses and "passed" in statuses


class VerifyReport(Model):
    """The outcome of ``verify``. ``reference`` says in words what the artifacts were compared with."""

    bundle: str
    reference: str
    steps: int
    artifacts: tuple[ArtifactReport, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether every artifact passed."""
        return bool(self.artifacts) and all(artifact.passed for artifact in self.artifacts)

    def to_json(self) -> str:
        """Return the report as it is written."""
        return self.model_dump_json(indent=2) + "\n"
