"""Words and numbers of a report as a person reads them: shared by its page, its JUnit file, assertions and pytest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from edgernn.parity.report import Check, VerifyReport

_SHOWN = 16  # entries of a longer list


def plain(text: str) -> str:
    """Return ``text`` with every character that cannot be shown written as its escape, as ``\\x1b``."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)


def value(found: Any) -> str:
    """Return a measured value in a few characters; a mapping or list inline, cut after ``_SHOWN`` entries."""
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


def size(count: int) -> str:
    """Return a number of bytes in decimal units, as ``3.5 MB``."""
    power = min(3, max(0, (len(str(count)) - 1) // 3))
    return f"{count} B" if power == 0 else f"{count / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"


def counted(count: int, noun: str) -> str:
    """Return ``1 check`` or ``3 checks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def outcome(report: VerifyReport) -> str:
    """Return one sentence: how many artifacts passed, failed and could not be judged, and what was left unchecked."""
    artifacts = report.artifacts
    passed, failed = sum(artifact.passed for artifact in artifacts), sum(artifact.failed for artifact in artifacts)
    parts = [f"{passed} of {counted(len(artifacts), 'artifact')} passed"]
    parts += [f"{failed} failed"] if failed else []
    if rest := len(artifacts) - passed - failed:
        parts.append(f"{rest} could not be judged")
    unchecked = sum(check.status == "not run" for artifact in artifacts for check in artifact.checks)
    parts += [f"{counted(unchecked, 'check')} could not be run on this machine"] if unchecked else []
    return ", ".join(parts)


def _scientific(number: float) -> str:
    digits, exponent = f"{number:.2e}".split("e")
    return f"{digits.rstrip('0').rstrip('.')}e{exponent}"


def _listed(parts: list[str]) -> str:
    left = len(parts) - _SHOWN
    return ", ".join(parts[:_SHOWN]) + (f", … {left} more" if left > 0 else "") if parts else "none"
