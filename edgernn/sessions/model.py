"""A model, opened: the file of its step graph, and that of its encode graph where it has one.

Everything that runs a model goes through two calls, whatever the model is: ``begin`` once per
sequence, ``step`` once per token or frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edgernn.bundle import Bundle
from edgernn.bundle.records import Artifact
from edgernn.contract import BATCH, ENCODE, STEP, Contract
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.opening import encoder_of, first_that_runs, open_artifact
from edgernn.sessions.padding import padded

NO_INPUTS: Arrays = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Model:
    """A model, opened; each of its files may run in a runtime of its own.

    It remembers nothing between calls: state is a plain dict of arrays.

    Attributes:
        step: the session of the step file. It can be called: ``step(inputs, state) -> (outputs,
            state)``, see ``Session.step``.
        encode: the session of the encode file, or None where the model has no such graph.

    Raises:
        ContractError: the files do not belong to one contract, or one of them is lacking.
    """

    step: Session
    encode: Session | None = None

    def __post_init__(self) -> None:
        if self.encode is None and self.contract.encode is not None:
            raise ContractError(
                "the model has an encode graph, and its file was not given; open the bundle's"
            )
        if self.encode is not None and self.encode.contract != self.step.contract:
            raise ContractError(
                "the encode and the step file have different contracts; open two files of one "
                "bundle"
            )

    @property
    def contract(self) -> Contract:
        """The contract of its files."""
        return self.step.contract

    @property
    def sessions(self) -> tuple[Session, ...]:
        """Its files, in the order in which they are called."""
        return (self.step,) if self.encode is None else (self.encode, self.step)

    def session(self, graph: str) -> Session | None:
        """Return the file that computes ``graph``, or None where there is none."""
        return {ENCODE: self.encode, STEP: self.step}.get(graph)

    @property
    def rows(self) -> int | None:
        """The only number of rows that its files take, or None where the caller chooses."""
        fixed = (session.file_contract.axis_size(BATCH) for session in self.sessions)
        return next((size for size in fixed if size), None)

    def begin(self, inputs: Arrays = NO_INPUTS, *, batch: int = 1) -> tuple[State, State]:
        """Begin a sequence.

        Args:
            inputs: every input of the encode graph by name; nothing where there is no such graph.
                Ids are padded where a file takes one number of them, see ``padding``.
            batch: how many rows begin, where there is no encode graph.

        Returns:
            The contexts by name, which every step takes, and the state before the first step.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape.
            UsageError: ``batch`` is less than 1.
        """
        if self.encode is not None:
            made = dict(inputs)
            for session in self.sessions:
                made = padded(made, session.file_contract)
            return self.encode.encode(made)
        if inputs:
            raise ContractError(
                f"unknown input {sorted(inputs)}: the model has no encode graph, so a sequence "
                "begins with nothing"
            )
        return {}, self.step.initial_state(batch)

    def look(self, seen: np.ndarray | Arrays) -> tuple[State, State]:
        """Begin with what encode sees: the array of its only input, or its inputs by name."""
        return self.begin(self.seen(seen))

    def seen(self, given: np.ndarray | Arrays) -> Arrays:
        """Return ``given`` by name; an array by that of the encode graph's first input.

        Raises:
            ContractError: the model has no encode graph.
        """
        if self.encode is None:
            raise ContractError("the model has no encode graph, so it looks at nothing")
        if isinstance(given, np.ndarray):
            return {self.encode.spec.fresh_inputs[0].name: given}
        return given


def rows_of(seen: Arrays, rows: slice | np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of what encode sees, each array ``[N, …]``."""
    return {name: array[rows] for name, array in seen.items()}


def model_of(contract: Contract, session_of: Callable[[str], Session]) -> Model:
    """Return the model of ``contract`` whose graphs ``session_of`` opens by their names."""
    opened = {graph.name: session_of(graph.name) for graph in contract.graphs}
    return Model(opened[STEP], opened.get(ENCODE))


def open_model(
    source: Bundle | Path | str,
    artifact: str | None = None,
    *,
    threads: int | None = None,
    trust: bool = False,
) -> Model:
    """Open the model of a bundle: a step file, and the encode file that goes with it.

    Args:
        source: an opened bundle, or the path of one.
        artifact: which step file: its path or its format; by default the first that runs here.
        threads: see ``Session.open``.
        trust: see ``open_session``.

    Raises:
        BundleError, ContractError, UnavailableError: see errors.py.
        UsageError: the bundle has no such step file.
    """
    bundle = Bundle.open(source, trust=trust)
    return choose_model(bundle, artifact, threads=threads)[1]


def choose_model(
    bundle: Bundle, artifact: str | None = None, *, threads: int | None = None
) -> tuple[Artifact, Model]:
    """Open the model of ``bundle`` and say which step file was chosen; see ``open_model``."""
    if artifact is None:
        step, session = first_that_runs(bundle, threads=threads)
    else:
        step = bundle.artifact(artifact)
        if step.graph == ENCODE:
            raise UsageError(
                f"{step.path} is the encode file; choose a step file, the encode file beside it "
                "is found by itself"
            )
        session = open_artifact(bundle, step, threads=threads)
    return step, with_encoder(bundle, step, session, threads=threads)


def with_encoder(
    bundle: Bundle, artifact: Artifact, step: Session, *, threads: int | None = None
) -> Model:
    """Return the model of an opened step file, with the encode file that goes with it."""
    if step.contract.encode is None:
        return Model(step)
    encode = open_artifact(bundle, encoder_of(bundle, artifact), threads=threads)
    return Model(step, encode)
