"""What verify found, as data: a report of artifacts, each with its checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, computed_field, model_validator

from edgernn.contract import Record

_READING = ("contract", "structure", "libraries")  # checks that run nothing of a file
Status = Literal["passed", "failed", "not run"]


class Check(Record):
    """One check of one artifact: its verdict, one line for a person, and the numbers behind it.

    ``applies``: whether the check says anything of such a model; one that does not is not run.

    ``curves``: tensor → its largest difference at each call of the first run, scaled as tolerances
    are, where the check made one.
    """

    name: str
    status: Status
    detail: str
    applies: bool = True
    measured: dict[str, Any] = Field(default_factory=dict)
    curves: dict[str, tuple[float, ...]] = Field(default_factory=dict)

    model_config = ConfigDict(ser_json_inf_nan="strings")  # JSON has no word for infinity


class _Verdict(Record):
    """A model whose verdict is written with it, and worked out anew when it is read back."""

    model_config = ConfigDict(ser_json_inf_nan="strings")  # JSON has no word for infinity

    @model_validator(mode="before")
    @classmethod
    def _leave_out_the_verdict(cls, content: Any) -> Any:
        if isinstance(content, dict):
            return {name: value for name, value in content.items() if name != "passed"}
        return content


class ArtifactReport(_Verdict):
    """All checks of one artifact, and what ran it."""

    path: str
    format: str
    precision: str
    bytes: int
    runtime: str = "nothing"
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(check.status == "failed" for check in self.checks)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether no check failed and at least one that runs the file passed."""
        passed = [check.name for check in self.checks if check.status == "passed"]
        return not self.failed and any(name not in _READING for name in passed)

    @property
    def only_read(self) -> bool:
        """Whether all that passed are checks that run nothing of the file."""
        passed = any(check.status == "passed" for check in self.checks)
        return passed and not self.failed and not self.passed


class VerifyReport(_Verdict):
    """The outcome of ``verify``.

    Attributes:
        bundle, artifacts: what was judged.
        reference: in words, what the artifacts were compared with.
        steps: the depth of the check: of a run in single steps, and of the greedy text.
        seed: by which rows and call lengths were drawn: ``verify`` with it draws the same again.
        lacks: what a complete bundle has and this one lacks; see ``completeness``.
        signed_by: who signed the bundle, where that was asked for and checked.
        made, edgernn, machine: when (UTC), by which version, and on what.
    """

    bundle: str
    reference: str
    steps: int
    seed: int = 0
    lacks: tuple[str, ...] = ()
    signed_by: str = ""
    made: str = ""
    edgernn: str = ""
    machine: str = ""
    artifacts: tuple[ArtifactReport, ...]

    @property
    def complete(self) -> bool:
        """Whether every check of every artifact was run."""
        return all(
            check.status != "not run" or not check.applies
            for artifact in self.artifacts
            for check in artifact.checks
        )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether no artifact failed and at least one passed; what could not be run here, or was
        only read, counts neither way.
        """
        artifacts = self.artifacts
        return not any(artifact.failed for artifact in artifacts) and any(
            artifact.passed for artifact in artifacts
        )

    def to_json(self) -> str:
        """Return the report as it is written."""
        return self.model_dump_json(indent=2) + "\n"
