"""Steps of as many rows as there are sequences, all of one beginning.

Their states are gathered along the batch axis that the contract names, so a fork is one
``np.take``; a file that takes one row a call is stepped row by row, with the same result.
"""

from __future__ import annotations

import numpy as np

from edgernn.contract import BATCH, TIME, TensorSpec
from edgernn.sessions.base import Arrays, Session, State

# one dict of outputs per row of the batch, each without the batch and the time axis
Rows = list[dict[str, np.ndarray]]


class RowStepper:
    """A session and one picture's contexts, stepped for any number of rows."""

    def __init__(self, session: Session, contexts: Arrays) -> None:
        self._session = session
        self._ids, scores = session.spec.text_ids.name, session.spec.text_scores
        self._scores = scores.name
        self._others = [spec for spec in session.spec.read_outputs if spec != scores]
        self._batch_axes = {
            spec.name: spec.axes.index(BATCH)
            for spec in (*session.spec.inputs, *session.spec.outputs)
        }
        self._contexts = contexts
        self._repeated = (
            1,
            contexts,
        )  # of the last call: the contexts do not change while the number of rows stays

    def step(self, tokens: list[int], state: Arrays) -> tuple[np.ndarray, Rows, State]:
        """Feed one token a row.

        Returns:
            The logits ``[B, V]``, every other output per row, and the next state.
        """
        if len(tokens) == 1 or self._session.file_contract.axis_size(BATCH) is None:
            outputs, after = self._step_together(tokens, state)
        else:
            each = [
                self._step_together([token], self.gather(state, [row]))
                for row, token in enumerate(tokens)
            ]
            outputs, after = (
                self._join([outputs for outputs, _ in each]),
                self._join([after for _, after in each]),
            )
        rows = [
            {spec.name: _at(outputs[spec.name], spec, row) for spec in self._others}
            for row in range(len(tokens))
        ]
        return outputs[self._scores][:, -1], rows, after

    def gather(self, state: Arrays, rows: list[int]) -> State:
        """Return a new state whose row i is row ``rows[i]`` of ``state``."""
        return {
            name: np.take(array, rows, axis=self._batch_axes[name]) for name, array in state.items()
        }

    def _step_together(
        self, tokens: list[int], state: Arrays
    ) -> tuple[dict[str, np.ndarray], State]:
        column = np.array(tokens, np.int64)[:, None]  # [B, 1]
        return self._session.step({**self._contexts_for(len(tokens)), self._ids: column}, state)

    def _join(self, parts: list[State]) -> State:
        return {
            name: np.concatenate([part[name] for part in parts], self._batch_axes[name])
            for name in parts[0]
        }

    def _contexts_for(self, rows: int) -> Arrays:
        if self._repeated[0] != rows:
            repeated = {
                name: np.repeat(array, rows, self._batch_axes[name])
                for name, array in self._contexts.items()
            }
            self._repeated = (rows, repeated)
        return self._repeated[1]


def _at(array: np.ndarray, spec: TensorSpec, row: int) -> np.ndarray:
    """Return one row of an output, at its last time, without those two axes."""
    return np.asarray(
        array[tuple({BATCH: row, TIME: -1}.get(axis, slice(None)) for axis in spec.axes)]
    )
