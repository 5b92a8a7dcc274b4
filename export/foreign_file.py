"""A foreign ONNX file to a bundle: its state found and made explicit, the step proved against the
file's own run, then every format as usual.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.bundle import Bundle, digest
from edgernn.export.pack import export_bundle
from edgernn.export.source import ReducedOptions, Tell
from edgernn.families.table import family_of
from edgernn.hoisting.onnx.model import ForeignModel
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.step import ForeignStep, Wishes, read_step
from edgernn.hoisting.recorded import read_sample
from edgernn.models.checkpoint import Checkpoint
from edgernn.parity.subject import DEFAULT_STEPS
from edgernn.wording import counted

Recorded = Mapping[str, np.ndarray] | Path | str | None
_SEED = 0  # of a sample that is drawn


def export_onnx(
    path: Path,
    out: Path | str,
    *,
    wishes: Wishes | None = None,
    sample: Recorded = None,
    to: Iterable[str] | str = "onnx",
    precision: Iterable[str] | str | None = None,
    target: Iterable[str] | str | None = None,
    release: bool = False,
    steps: int = DEFAULT_STEPS,
    options: ReducedOptions | None = None,
    tell: Tell = lambda line: None,
) -> Bundle:
    """Export a foreign ONNX file to a bundle.

    Args:
        path: the file.
        out: a folder, or a file ending in ``.edgernn``.
        wishes: what is known of the file beyond itself.
        sample: recorded inputs by their names in the file or in the contract, or a file of them;
            see ``read_sample``.
        to, precision, target, release, steps, options, tell: see ``export_bundle``.

    Returns:
        The bundle, opened.

    Raises:
        UsageError: the file is no step, or something is to be said of it; nothing is written.
        ContractError: an artifact does not keep the contract or its tolerance; nothing is written.
    """
    step = read_step(path, wishes)
    for warning in step.warnings:
        tell(f"warning: {warning}")
    proof = prove(step)
    states = counted(len(step.states), "state")
    tell(
        f"{path.name}: {states}, the same as the file over {proof.steps} steps within "
        f"{proof.worst:.1e}"
    )
    model = ForeignModel(step, _provenance(path, step, wishes or Wishes(), sample))
    return export_bundle(
        Checkpoint(model, None, {}, _evaluation(step, sample)),
        out,
        to=to,
        precision=precision,
        target=target,
        release=release,
        steps=steps,
        options=options,
        tell=tell,
    )


def _provenance(
    path: Path,
    step: ForeignStep,
    wishes: Wishes,
    sample: Recorded,
) -> dict[str, Any]:
    """Return what the manifest tells of the file."""
    return {
        "module": path.name,
        "onnx": {"bytes": path.stat().st_size, "sha256": digest(path).sha256},
        "renamed": step.renamed,
        "bound": dict(wishes.settings),
        "sample": f"drawn, seed {_SEED}" if sample is None else "recorded",
        "states": {step.promised.inputs[state.before]: state.where for state in step.states},
    }


def _evaluation(step: ForeignStep, sample: Recorded) -> dict[str, np.ndarray]:
    """Return the sample under the contract's names; one that is drawn where there is none."""
    if sample is None:
        return dict(family_of(ForeignModel.family).drawn(step.contract, seed=_SEED) or {})
    return read_sample(sample, step.contract, renamed=step.renamed)
