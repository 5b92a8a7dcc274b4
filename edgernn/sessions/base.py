"""The protocol of every runtime: ``step(inputs, state) -> (outputs, state)``, with nothing
remembered in between.

The file of an encode graph is a session too: ``encode(inputs) -> (contexts, state)``, once per
sequence.

A session checks what it is given against the contract, converts to the file's narrower dtypes and
back, and never changes the arrays it was given nor gives back their memory. So reset, fork, save
and restore are plain operations on a dict of arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, ENCODE, STEP, FileContract, next_name
from edgernn.errors import ContractError
from edgernn.sessions.file import OpenedFile
from edgernn.wording import whole

State = dict[str, np.ndarray]
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class LeftToItself:
    """A file as its runtime runs it for a host that sets nothing; in words what it does then."""

    session: Session
    words: str


class Session(OpenedFile):
    """The file of one graph of the contract, opened in one runtime; see ``OpenedFile``.

    A runtime implements ``describe``, ``open`` and ``_run``; everything that the contract demands
    is done here.
    """

    def __init__(self, file_contract: FileContract, first_state: Arrays | None = None) -> None:
        super().__init__(file_contract, first_state)
        self._dtypes = {t.name: np.dtype(t.dtype) for t in self.spec.outputs}
        self._read = tuple(t.name for t in self.spec.read_outputs)
        self._next = {s.name: next_name(s.name) for s in self.spec.states}

    def encode(self, inputs: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """Run the encode graph.

        Args:
            inputs: every input by name, in the contract's dtypes and axes (``image [B, height,
                width, channels]`` uint8).

        Returns:
            The contexts by name, to be given to every ``step``, and the state before the first one.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape; or the file
                computes the step.
        """
        results = self.encoded(inputs)
        contexts = {t.name: results[t.name] for t in self.spec.outputs if t.role == "context"}
        given = {t.name: results[t.name] for t in self.spec.outputs if t.role == "state"}
        own = self._own_first_state(self._batch_of(inputs))
        return contexts, {s.name: {**own, **given}[s.name] for s in self.contract.step.states}

    def encoded(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Run the encode graph; return every output by name: contexts, first states, and what is
        only read. See ``encode``.
        """
        return self._checked_results(ENCODE, inputs, {})

    def _batch_of(self, inputs: Arrays) -> int:
        """Return the size of the batch in ``inputs``; 1 where no input has one."""
        for spec in self.spec.caller_inputs:
            if (place := spec.axis(BATCH)) is not None:
                return int(inputs[spec.name].shape[place])
        return 1

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """Advance by the T steps in ``inputs``.

        Args:
            inputs: every caller's input by name, in the contract's dtypes and axes (``tokens [B,
                T]`` int64), and the contexts where the model has an encode graph.
            state: every state by name (``h [L, B, H]`` float32), as ``initial_state`` or the last
                ``step`` gave it.

        Returns:
            The outputs by name (``logits [B, T, V]`` float32) and the next state, keyed like
            ``state``.

        Raises:
            ContractError: a tensor is missing, unknown, or of the wrong dtype or shape; names it.
        """
        results = self._checked_results(STEP, inputs, state)
        return {name: results[name] for name in self._read}, {
            name: results[out] for name, out in self._next.items()
        }

    def left_to_itself(self) -> LeftToItself | None:
        """Return the file as a host runs it that sets nothing, where that computes in another
        precision on this machine; None where it does not.
        """
        return None

    def __call__(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``step``: a session of a step file is that function."""
        return self.step(inputs, state)

    def _checked_results(self, graph: str, inputs: Arrays, state: Arrays) -> dict[str, np.ndarray]:
        """Return every output of the file in the contract's dtype; the file must compute
        ``graph``.
        """
        if self.spec.name != graph:
            raise ContractError(
                f"this file computes {self.spec.name}, not {graph}; open the bundle's file for "
                f"{graph}"
            )
        results = self._run(self._checked_feeds(inputs, state))
        lacking = [name for name in self._dtypes if name not in results]
        if lacking:
            raise ContractError(
                f"the file does not return {lacking}, which its contract promises; export it again"
            )
        self._check_shapes(results, {**inputs, **state})
        return {name: np.asarray(results[name], dtype) for name, dtype in self._dtypes.items()}

    def _check_shapes(self, results: Arrays, given: Arrays) -> None:
        """Refuse an output whose shape does not follow from the contract and what went in."""
        sizes: dict[str, int] = dict(self.contract.sizes)
        for spec in self.spec.inputs:
            sizes.update(zip(spec.axes, given[spec.name].shape, strict=True))
        for spec in self.spec.outputs:
            shape = results[spec.name].shape
            if shape != tuple(
                [sizes.get(axis, size) for axis, size in zip(spec.axes, shape, strict=False)]
            ):
                wanted = [sizes.get(axis, axis) for axis in spec.axes]
                raise ContractError(
                    f"{spec.name} comes out with shape {list(shape)}, expected {wanted}; "
                    "export it again"
                )


def checked_threads(threads: int | None) -> int | None:
    """Return ``threads``; raise UsageError where it is no number or less than 1."""
    return (
        None
        if threads is None
        else whole(threads, "threads", remedy="; leave it out for the runtime's own choice")
    )
