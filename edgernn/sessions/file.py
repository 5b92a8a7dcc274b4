"""One model file, opened in one runtime: what a session of a step has in common with a file that
decodes in the graph.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgernn.contract import ENCODE, FileContract
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.feeds import CheckedFeeds
from edgernn.wording import whole

if TYPE_CHECKING:
    from typing import Self

    from edgernn.sessions.base import Arrays, State


class OpenedFile(ABC):
    """One model file, opened in one runtime.

    A runtime implements ``describe``, ``open`` and ``_run``.

    Args:
        file_contract: what the file promises.
        first_state: the first values of the states that the contract says are stored, each with
            one row.
    """

    runtime: str  # in words, for reports; of a class, or of what it opened

    def __init__(self, file_contract: FileContract, first_state: Arrays | None = None) -> None:
        self.file_contract = file_contract
        self.contract = file_contract.contract
        self.spec = file_contract.spec
        self.first_state = first_state
        self._checked_feeds = CheckedFeeds(file_contract)

    @classmethod
    @abstractmethod
    def describe(cls, path: Path) -> FileDescription:
        """Read the interface and metadata out of the file itself.

        Raises:
            ContractError: the file is damaged or of another format.
        """

    @classmethod
    @abstractmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> Self:
        """Open the file.

        Args:
            path: the file.
            file_contract, first_state: see the class.
            threads: how many threads share a step, at least 1; None takes the runtime's own
                default. A runtime that has no such choice for one file leaves it unused.

        Raises:
            ContractError: the file is damaged or of another format.
            UnavailableError: this machine cannot run the format; says what would.
            UsageError: ``threads`` is less than 1.
        """

    @abstractmethod
    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the graph once: every input by name to every output by name, in the file's dtypes."""

    def initial_state(self, batch: int = 1) -> State:
        """Return the state before the first step for ``batch`` rows, by state name.

        Raises:
            ContractError: the first state is learned and this session was opened without its
                values; or it comes from ``encode``, so there is none without a picture.
            UsageError: ``batch`` is no number or less than 1.
        """
        batch = whole(batch, "batch")
        if self.contract.starting(ENCODE):
            raise ContractError(
                "the first state comes from the encode graph: call encode and go on with the "
                "state it returns"
            )
        return self._own_first_state(batch)

    def stored_state(self) -> State:
        """Return the first values of the states that the contract says are stored, with one row,
        whatever makes those of the others; nothing where none is.

        Raises:
            ContractError: this file was opened without them.
        """
        stored, first = self.contract.starting("stored"), self.first_state or {}
        if missing := [spec.name for spec in stored if spec.name not in first]:
            raise ContractError(
                f"the first state is learned and its values {missing} were not given; open the "
                "model through its bundle"
            )
        return {spec.name: np.asarray(first[spec.name], spec.dtype) for spec in stored}

    def _own_first_state(self, batch: int) -> State:
        """Return the first values of the states that are zeros or stored, for ``batch`` rows."""
        stored, state = self.stored_state(), {}
        for spec in self.contract.step.states:
            shape = self.contract.shape(spec, batch=batch)
            if spec.name in stored:
                state[spec.name] = np.broadcast_to(stored[spec.name], shape).copy()
            elif spec.name not in self.contract.initial_state:
                state[spec.name] = np.zeros(shape, spec.dtype)
        return state
