"""Words and numbers of a report as a person reads them: shared by its page, its JUnit file,
assertions and pytest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgernn.parity.report.data import Check, VerifyReport
from edgernn.wording import counted, plain

_SHOWN = 16  # entries of a longer list
FULL_STEPS = 256  # of a check that was not made shorter


def value(found: Any) -> str:
    """Return a measured value in a few characters; a mapping or list inline, cut after ``_SHOWN``
    entries.
    """
    if isinstance(found, float):
        if not math.isfinite(found):
            return "not finite"
        return f"{found:.3g}" if found == 0 or 0.001 <= abs(found) < 1000 else _scientific(found)
    if isinstance(found, Mapping):
        return _listed([f"{plain(str(name))} {value(inner)}" for name, inner in found.items()])
    if isinstance(found, Sequence) and not isinstance(found, str):
        return _listed([value(inner) for inner in found])
    return "none" if found is None else plain(str(found))


def label(name: str) -> str:
    """Return the name of a measured value as words: ``worst_call`` → ``worst call``."""
    return plain(name).replace("_", " ")


def measured_lines(check: Check) -> list[str]:
    """Return one line per measured value."""
    return [f"{label(name)}: {value(found)}" for name, found in check.measured.items()]


def headline(report: VerifyReport) -> str:
    """Return the verdict and ``outcome`` as one line: what a report says first and last."""
    return f"{'verified' if report.passed else 'NOT verified'}: {outcome(report)}"


def outcome(report: VerifyReport) -> str:
    """Return one sentence: how many artifacts passed, how deep the check went, and what was left
    unchecked, and why.
    """
    artifacts = report.artifacts
    passed, failed = (
        sum(artifact.passed for artifact in artifacts),
        sum(artifact.failed for artifact in artifacts),
    )
    parts = [
        f"{passed} of {counted(len(artifacts), 'artifact')} passed over {_depth(report.steps)}"
    ]
    parts += [f"{failed} failed"] if failed else []
    read = sum(artifact.only_read for artifact in artifacts)
    parts += [f"{read} read and NOT run"] if read else []
    if rest := len(artifacts) - passed - failed - read:
        parts.append(f"{rest} could not be judged")
    unchecked = [f"{', '.join(names)} ({why})" for why, names in _unchecked(report).items()]
    left = [f"NOT checked: {_listed(unchecked)}"] if unchecked else []
    left += [f"the bundle lacks {', '.join(report.lacks)}"] if report.lacks else []
    return "; ".join([", ".join(parts), *left])


def _depth(steps: int) -> str:
    """Return the depth of a check in words; one below the usual must not look as good."""
    return (
        counted(steps, "step")
        if steps >= FULL_STEPS
        else f"{counted(steps, 'step')} only (a full check has {FULL_STEPS})"
    )


def _unchecked(report: VerifyReport) -> dict[str, list[str]]:
    """Return the names of the checks that were not run, each once, by the reason."""
    reasons: dict[str, list[str]] = {}
    for artifact in report.artifacts:
        for check in artifact.checks:
            if check.status == "not run" and check.applies:
                names = reasons.setdefault(plain(check.detail) or "no reason was given", [])
                names += [] if check.name in names else [plain(check.name)]
    return reasons


def _scientific(number: float) -> str:
    digits, exponent = f"{number:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{exponent}"


def _listed(parts: list[str]) -> str:
    left = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f", … {left} more" if left > 0 else "") if parts else "none"
