"""What is verified: one artifact of a bundle, with the reference that judges it and the runtime that runs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.contract import FileContract, first_line
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.manifest import Artifact
from edgernn.sessions.base import Session
from edgernn.sessions.opening import open_artifact
from edgernn.tolerances import Tolerance, tolerance

DEFAULT_STEPS = 256


@dataclass(frozen=True, eq=False)
class Subject:
    """One artifact under verification.

    Attributes:
        bundle, artifact: what is judged.
        judge: the reference, or None where the golden run alone judges.
        steps: length of each rollout and of the greedy text.
    """

    bundle: Bundle
    artifact: Artifact
    judge: Session | None
    steps: int = DEFAULT_STEPS

    @cached_property
    def session(self) -> Session:
        """The artifact in its own runtime, else in the format's interpreter; raises UnavailableError where both lack."""
        row = formats.by_name(self.artifact.format)
        try:
            return open_artifact(self.bundle, self.artifact)
        except UnavailableError:
            if row.interpreter is None:
                raise
        found: type[Session] = formats.resolve(row.interpreter, needed_for=f"interpreting {row.name}", extra=row.run_extra)
        return open_artifact(self.bundle, self.artifact, found)

    @property
    def runtime(self) -> str:
        """What ran the artifact, in words; an interpreter is not the device, and the report must say so."""
        if self.artifact.format not in formats.FORMATS:
            return "nothing"
        try:
            return type(self.session).runtime
        except (UnavailableError, ContractError):
            return "nothing"

    @property
    def limit(self) -> Tolerance:
        """What the artifact's format and precision promise."""
        return tolerance(formats.by_name(self.artifact.format).family, self.artifact.precision)

    @cached_property
    def sample(self) -> np.ndarray | None:
        """The held-out tokens, int64 ``[N]``, or None where the bundle carries none."""
        inner = self.bundle.manifest.evaluation
        if inner is None:
            return None
        path = self.bundle.path(inner)
        try:
            tensors = list(safetensors.numpy.load_file(path).values())
        except (SafetensorError, OSError) as error:
            raise ContractError(f"{path} is no held-out sample ({first_line(error)}); export the bundle again") from error
        found = [f"{tensor.dtype} {list(tensor.shape)}" for tensor in tensors]
        if len(tensors) != 1 or tensors[0].ndim != 1 or tensors[0].dtype != np.int64:
            raise ContractError(f"{path} has {', '.join(found) or 'nothing'}, expected one int64 [N] of token ids")
        return tensors[0]


def subjects(
    bundle: Bundle, *, to: Iterable[str] | str | None = None, steps: int = DEFAULT_STEPS, reference: Path | None = None
) -> tuple[list[Subject], str]:
    """Return the artifacts to verify, and in words what judges them.

    The reference is, in this order: the checkpoint ``reference``, the one inside the bundle, else the golden run alone.

    Raises:
        UsageError: ``steps`` below 1, no artifact of the formats asked for, or a reference of another contract.
    """
    if steps < 1:
        raise UsageError(f"steps is {steps}, expected 1 or more")
    known = {row.name for row in formats.select(to)}
    wanted = [a for a in bundle.manifest.artifacts if a.format in known or (to is None and a.format not in formats.FORMATS)]
    if not wanted:
        present = ", ".join(sorted({artifact.format for artifact in bundle.manifest.artifacts})) or "none"
        raise UsageError(f"{bundle.source} has no artifact in {', '.join(sorted(known))}; it has: {present}")
    judge, words = _judge(bundle, reference)
    return [Subject(bundle, artifact, judge, steps) for artifact in wanted], words


def _judge(bundle: Bundle, reference: Path | None) -> tuple[Session | None, str]:
    row = formats.REFERENCE
    inner = bundle.manifest.reference
    if reference is None and inner is None:
        return None, "the recorded golden run alone (the bundle carries no reference)"
    try:
        session: Any = formats.resolve(row.session, needed_for="the reference", extra=row.run_extra)
    except UnavailableError:
        if reference is not None:
            raise
        return None, "the recorded golden run alone (torch is not installed)"
    path = reference or bundle.path(inner or "")
    own = FileContract.from_metadata(session.describe(path).metadata, source=str(path))
    if own.contract != bundle.manifest.contract:
        raise UsageError(
            f"the reference {path} has another contract than {bundle.source}; give the checkpoint it was exported from"
        )
    judge: Session = session.open(path, FileContract(contract=own.contract, decoding=bundle.manifest.decoding))
    return judge, f"eager torch from {'the bundle' if reference is None else reference}"
