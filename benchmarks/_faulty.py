"""What the fault suite is made of: a fault, and the verdict on it.

A bundle is exported honestly, one thing in it is made wrong, and the digests in its manifest are
made right again: what is left is a bundle whose files are whole and whose content lies. ``verify``
must say so, by the check whose task it is.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy
from _faulty_bundles import RECIPES, STEPS, make_bundle

from edgernn.bundle import digest
from edgernn.errors import EdgernnError
from edgernn.parity.report.data import ArtifactReport, VerifyReport
from edgernn.parity.verify import verify_bundle

OPENING = "opening"  # stands among the names of checks for what is refused before any check is made
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fault:
    """One thing made wrong in an honest bundle.

    Attributes:
        name: unique, a few words.
        imitates: what goes wrong in the field and looks like this.
        apply: makes the thing wrong in a bundle folder, and its digests right.
        caught_by: the checks that must fail, or ``OPENING``; of these, what the honest bundle does
            not pass here is left out. Empty: whichever check says it.
        says: a pattern that must be found in what they say.
        honest: which of ``RECIPES`` it is applied to.
        artifact: the model file that is verified.
        awaits: what verify lacks to catch it; empty where it must be caught.
        trust, strict: verified with ``--trust``, which runs programs as they lie there; with
            ``--strict``, which takes what could not be checked for failed.
    """

    name: str
    imitates: str
    apply: Callable[[Path], None]
    caught_by: tuple[str, ...]
    says: str
    honest: str = "lstm"
    artifact: str = "onnx/step.onnx"
    awaits: str = ""
    trust: bool = False
    strict: bool = False


@dataclass(frozen=True)
class Verdict:
    """What came of one fault: by which checks it was caught, and what they said.

    ``mute``: caught, but no message names the cause. ``crashed``: verify broke off with an error
    that is not edgernn's.
    """

    outcome: Literal["caught", "mute", "missed", "crashed", "not judged"]
    caught_by: tuple[str, ...]
    message: str


class Workshop:
    """Makes each honest bundle once, below ``scratch``, and judges faults on copies of it."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.honest = cache(self._honest)
        self.honest_report = cache(self._honest_report)

    def judge(self, fault: Fault) -> Verdict:
        """Apply ``fault`` to a fresh copy of its honest bundle, verify it, and say what came of
        it.
        """
        able = {
            check.name
            for check in self.honest_report(fault.honest, fault.artifact).checks
            if check.status == "passed"
        }
        wanted = [name for name in fault.caught_by if name in able or name == OPENING]
        if fault.caught_by and not wanted:
            return Verdict(
                "not judged", (), f"verify does not make {' or '.join(fault.caught_by)} of it here"
            )
        folder = self.scratch / "faulty"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.honest(fault.honest), folder)
        fault.apply(folder)
        try:
            strict = able if fault.strict else ()
            found = complaints(folder, fault.artifact, trust=fault.trust, strict=strict)
        except Exception as error:  # noqa: BLE001 - whatever verify lets through is a finding
            return Verdict("crashed", (), f"{type(error).__name__}: {error}")
        if not found or not found.keys() >= set(wanted):
            return Verdict(
                "missed", tuple(found), "; ".join(found.values()) or "every check passes"
            )
        telling = [
            text
            for name, text in found.items()
            if name in (wanted or found) and re.search(fault.says, text)
        ]
        return Verdict(
            "caught" if telling else "mute", tuple(found), (telling or list(found.values()))[0]
        )

    def _honest(self, name: str) -> Path:
        folder = self.scratch / name
        make_bundle(RECIPES[name], folder)
        return folder

    def _honest_report(self, name: str, artifact: str) -> ArtifactReport:
        return _of(verify(self.honest(name), artifact), artifact)


def complaints(
    folder: Path, artifact: str, *, trust: bool = False, strict: Collection[str] = ()
) -> dict[str, str]:
    """Return what verify says against one file: check → message; ``OPENING`` where it refuses the
    whole bundle. Of the checks in ``strict`` also why one was not run.
    """
    try:
        report = _of(verify(folder, artifact, trust=trust), artifact)
    except EdgernnError as error:
        return {OPENING: str(error).replace(str(folder), folder.name)}
    failed = [
        check
        for check in report.checks
        if check.status == "failed" or (check.status == "not run" and check.name in strict)
    ]
    return {check.name: check.detail.replace(str(folder), folder.name) for check in failed}


def verify(folder: Path, artifact: str, *, trust: bool = False) -> VerifyReport:
    """Verify the one artifact."""
    return verify_bundle(folder, to=artifact, steps=STEPS, trust=trust)


def edit_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest of a bundle folder in place."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def on_arrays(inner: str, change: Callable[[Arrays], Arrays]) -> Callable[[Path], None]:
    """Change the arrays of one safetensors file, and sign it."""

    def apply(folder: Path) -> None:
        arrays = change(safetensors.numpy.load_file(folder / inner))
        safetensors.numpy.save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / inner
        )
        sign(folder, inner)

    return apply


def sign(folder: Path, inner: str) -> None:
    """Make the digest of a changed file right in the manifest."""
    found = digest(folder / inner).model_dump()

    def change(manifest: dict[str, Any]) -> None:
        entries = {artifact["path"]: artifact for artifact in manifest["artifacts"]} | manifest[
            "files"
        ]
        entries[inner].update(found)

    edit_manifest(folder, change)


def _of(report: VerifyReport, artifact: str) -> ArtifactReport:
    return next(entry for entry in report.artifacts if entry.path == artifact)
