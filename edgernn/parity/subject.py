"""What is verified: one artifact of a bundle, with the reference that judges it and the runtime
that runs it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.bundle.chosen import chosen
from edgernn.bundle.records import Artifact
from edgernn.contract import FileContract
from edgernn.contract.in_graph import DECODERS
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError, EdgernnWarning, UnavailableError, UsageError
from edgernn.families.base import Family
from edgernn.families.samples import sample_of
from edgernn.families.table import family_of
from edgernn.formats.promise import Tolerance
from edgernn.parity.reference import (
    format_of_reference,
    open_graph_reference,
    words_of_reference,
)
from edgernn.parity.report.wording import FULL_STEPS
from edgernn.parity.shapes import unforeseen_seed
from edgernn.sessions.base import Session
from edgernn.sessions.in_graph import Decoder
from edgernn.sessions.model import Model, model_of
from edgernn.sessions.one_row import one_row_model
from edgernn.sessions.opening import encoder_of, open_artifact, open_decoder, session_class
from edgernn.wording import whole

DEFAULT_STEPS = FULL_STEPS
# the rise of perplexity by which two processors may differ where a precision promises none
_OTHERWISE = 3e-3


@dataclass(frozen=True, eq=False)
class Subject:
    """One artifact under verification.

    Attributes:
        bundle, artifact: what is judged.
        reference: the model that judges, opened; None where the golden run alone judges.
        steps: length of a run in single steps and of the greedy text.
        seed: of the shapes that are drawn; see ``shapes``.
        checkpoint: the checkpoint folder that was given in place of the bundle's own reference, if
            one was.
        kind: the session that runs it; None for its format's own.
    """

    bundle: Bundle
    artifact: Artifact
    reference: Model | None
    steps: int = DEFAULT_STEPS
    seed: int = field(default_factory=unforeseen_seed)
    checkpoint: Path | None = None
    kind: type[Session] | None = None

    @property
    def family(self) -> Family:
        """What kind of model it is of."""
        return family_of(self.bundle.manifest.family)

    @property
    def judge(self) -> Session | None:
        """The reference of the artifact's graph, or None where the golden run alone judges."""
        return None if self.reference is None else self.reference.session(self.artifact.graph)

    @cached_property
    def session(self) -> Session:
        """The artifact in its own runtime, else in the format's interpreter; raises
        UnavailableError where both lack.
        """
        return _open(self.bundle, self.artifact, self.kind)

    @cached_property
    def decoder(self) -> Decoder:
        """The artifact in its own runtime, where it decodes in the graph."""
        return open_decoder(self.bundle, self.artifact)

    def fresh(self) -> Session:
        """Open the file once more, in the runtime of ``session``."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EdgernnWarning)
            return open_artifact(self.bundle, self.artifact, type(self.session))

    @cached_property
    def model(self) -> Model:
        """The artifact as a whole model of one row: a step file with the encode file beside it, an
        encode file with the reference's step.

        Raises:
            ContractError: an encode file, and no reference; or the encode file is lacking.
        """
        if self.session.spec.once:
            if self.reference is None:
                raise ContractError("there is no reference whose step goes with the encode file")
            return one_row_model(Model(self.reference.step, self.session))
        if self.session.contract.encode is None:
            return one_row_model(Model(self.session))
        beside = encoder_of(self.bundle, self.artifact)
        return one_row_model(Model(self.session, _open(self.bundle, beside, self.kind)))

    @cached_property
    def description(self) -> FileDescription:
        """What the file says of itself, as its format's own session reads it, or the one that runs
        it in another runtime; raises ContractError where it is damaged.
        """
        kind = self.kind or session_class(self.artifact.format)
        return kind.describe(self.bundle.path(self.artifact.path))

    @property
    def runtime(self) -> str:
        """What ran the artifact, in words; an interpreter is not the device, and the report must
        say so.
        """
        if self.artifact.format not in formats.FORMATS:
            return "nothing"
        try:
            decodes = self.artifact.graph in DECODERS
            return (self.decoder if decodes else self.session).runtime
        except (UnavailableError, ContractError):
            return "nothing"

    @property
    def promised(self) -> Tolerance:
        """What the artifact's format and precision promise, whatever the manifest says."""
        return formats.by_name(self.artifact.format).promise(self.artifact.precision)

    @property
    def limit(self) -> Tolerance:
        """What the artifact's format and precision promise, and what was allowed and lost when it
        was packed; the stricter of the two tolerances.

        A manifest does not loosen its own limit: whatever it allows, the file is held to the loss
        that the manifest says it has, give or take what the precision promises, for other
        processors round otherwise. Float32 loses nothing.
        """
        promised, loss = self.promised, self.artifact.loss
        said = self.artifact.tolerance
        if said is not None and self.artifact.forced == promised.forced:
            promised = replace(promised, rollout=min(said, promised.rollout))
        if loss is None or promised.exact:
            return promised
        allowed = math.inf if loss.allowed is None else loss.allowed
        told = max(loss.increase, 0.0) + max(promised.perplexity, _OTHERWISE)
        # who allows more perplexity allows the divergence that makes it
        more = allowed > promised.perplexity
        divergence = max(promised.mean_kl, 2 * loss.mean_kl) if more else promised.mean_kl
        return replace(promised, perplexity=min(allowed, told), mean_kl=divergence)

    @property
    def allowance(self) -> str:
        """In words what whoever exported the artifact allowed it to lose beyond what its precision
        promises; else nothing.
        """
        promised, loss = self.promised, self.artifact.loss
        within = (
            loss is not None and loss.allowed is not None and loss.allowed <= promised.perplexity
        )
        if loss is None or within or promised.exact:
            return ""
        share = "any perplexity" if loss.allowed is None else f"{loss.allowed:+.3%} of perplexity"
        return (
            f"; {share} was allowed at export, {promised.perplexity:+.3%} is what "
            f"{self.artifact.precision} promises"
        )

    @cached_property
    def sample(self) -> dict[str, np.ndarray] | None:
        """The held-out sample by tensor name; None where there is none."""
        return sample_of(self.bundle)


def _open(bundle: Bundle, artifact: Artifact, kind: type[Session] | None = None) -> Session:
    row = formats.by_name(artifact.format)
    if kind is not None:
        return open_artifact(bundle, artifact, kind)
    try:
        with warnings.catch_warnings():  # of what the report says
            warnings.simplefilter("ignore", EdgernnWarning)
            return open_artifact(bundle, artifact)
    except UnavailableError:
        if row.interpreter is None:
            raise
    found: type[Session] = formats.resolve(
        row.interpreter, needed_for=f"interpreting {row.name}", extra=row.run_extra
    )
    return open_artifact(bundle, artifact, found)


def subjects(
    bundle: Bundle,
    *,
    to: Iterable[str] | str | None = None,
    steps: int = DEFAULT_STEPS,
    seed: int | None = None,
    reference: Path | None = None,
    kind: type[Session] | None = None,
    runs: formats.Format | None = None,
) -> tuple[list[Subject], str]:
    """Return the artifacts to verify, and in words what judges them.

    The reference is, in this order: the checkpoint ``reference``, the one inside the bundle, else
    the golden run alone. All of them draw their shapes by one ``seed``, without which nobody can
    foresee them. With ``kind``, a session of the row ``runs``, the files of that row alone that
    are run step by step.

    Raises:
        UsageError: ``steps`` below 1, ``seed`` below 0, no artifact of the formats asked for, or a
            reference of another contract.
    """
    steps = whole(steps, "steps")
    if seed is not None and seed < 0:
        raise UsageError(f"seed is {seed}, expected 0 or more")
    seed = unforeseen_seed() if seed is None else seed
    wanted = chosen(bundle, to, only=runs)
    judge, words = _reference(bundle, reference)
    found = [Subject(bundle, a, judge, steps, seed, reference, kind) for a in wanted]
    return found, words


def _reference(bundle: Bundle, reference: Path | None) -> tuple[Model | None, str]:
    row = formats.REFERENCE
    inner = bundle.manifest.reference
    graphs = format_of_reference(bundle) if reference is None else None
    if graphs is not None:
        try:
            return open_graph_reference(bundle, graphs), words_of_reference(graphs)
        except UnavailableError:
            return None, "the recorded golden run alone (torch is not installed)"
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
            f"the reference {path} has another contract than {bundle.source}; give the "
            "checkpoint it was exported from"
        )
    decoding = bundle.manifest.decoding

    def session_of(graph: str) -> Session:
        file_contract = FileContract(contract=own.contract, graph=graph, decoding=decoding)
        opened: Session = session.open(path, file_contract)
        return opened

    model = model_of(own.contract, session_of)
    return model, f"eager torch from {'the bundle' if reference is None else reference}"
