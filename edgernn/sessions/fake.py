"""A session without a model: a small linear recurrence in numpy, for tests of what drives
sessions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgernn.contract import BATCH, METADATA_KEY, TIME, FileContract, TensorSpec, next_name
from edgernn.contract.interface import FileDescription
from edgernn.sessions.base import Arrays, Session


class FakeSession(Session):
    """Steps ``s' = s / 2 + token / V`` in every state, and prefers the token ``(token + 1) mod V``.

    Of what are no ids it adds the mean of each row and frame. It keeps the protocol exactly, for
    any contract, and counts its calls in ``calls``.
    """

    runtime = "a fake"

    def __init__(self, file_contract: FileContract, first_state: Arrays | None = None) -> None:
        super().__init__(file_contract, first_state)
        self.calls = 0
        self._open: dict[str, int] = {}  # sizes of the open axes of the last call

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """Read the contract from the JSON file at ``path``."""
        text = path.read_text(encoding="utf-8", errors="replace")
        file_contract = FileContract.from_metadata({METADATA_KEY: text}, source=str(path))
        return FileDescription(file_contract.interface(), file_contract.to_metadata())

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> FakeSession:
        """See ``Session.open``."""
        return cls(file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.calls += 1
        self._open = {
            axis: size
            for spec in self.spec.inputs
            for axis, size in zip(spec.axes, feeds[spec.name].shape, strict=True)
            if axis in self.contract.open_axes
        }
        given = [self._in_rows(spec, feeds[spec.name]) for spec in self.spec.caller_inputs]
        fed = sum(given, np.zeros((1, 1), np.float32))  # [B, T]
        states = {s.name: feeds[s.name] for s in self.spec.states}
        means = np.zeros_like(fed)  # [B, T]
        for t in range(fed.shape[1]):
            means[:, t] = fed[:, t] if not states else 0
            for spec in self.spec.states:
                states[spec.name] = _advanced(spec, states[spec.name], fed[:, t])
                means[:, t] += self._in_rows(spec, states[spec.name])[:, 0]
        made = {t.name: _spread(t, means / 4, self._shape(t, fed)) for t in self._told}
        ids, scores = self.spec.ids, self.spec.scores
        if ids is not None and scores is not None and ids.axes == scores.axes[:-1]:
            after = (feeds[ids.name].astype(np.int64) + 1) % made[scores.name].shape[-1]
            np.put_along_axis(made[scores.name], after[..., None], 4.0, axis=-1)
        made |= {next_name(name): array for name, array in states.items()}
        return {
            t.name: np.asarray(made[t.name]).astype(self.file_contract.dtype(t))
            for t in self.spec.outputs
        }

    @property
    def _told(self) -> tuple[TensorSpec, ...]:
        """The outputs that are no next state of an input: of encode, first states too."""
        nexts = {next_name(state.name) for state in self.spec.states}
        return tuple(tensor for tensor in self.spec.outputs if tensor.name not in nexts)

    def _in_rows(self, spec: TensorSpec, array: np.ndarray) -> np.ndarray:
        """Return the mean of each row and step, float32 ``[B, T]``, 1 for an axis that is not
        there; ids as a part of their range.
        """
        numbers = array.astype(np.float32)
        if spec.below is not None:
            numbers = (array / self.contract.sizes[spec.below]).astype(np.float32)
        own = [axis for axis in (BATCH, TIME) if axis in spec.axes]
        others = tuple(place for place, axis in enumerate(spec.axes) if axis not in own)
        left = [axis for axis in spec.axes if axis in own]
        mean = np.asarray(numbers.mean(others)) if others else numbers
        mean = mean.transpose([left.index(axis) for axis in own])  # [B, T], or less
        rows, steps = (
            array.shape[spec.axes.index(axis)] if axis in own else 1 for axis in (BATCH, TIME)
        )
        return np.asarray(mean.reshape(rows, steps))

    def _shape(self, spec: TensorSpec, fed: np.ndarray) -> tuple[int, ...]:
        """Return the shape of an output for so many rows and steps ``[B, T]``."""
        sizes = {BATCH: fed.shape[0], TIME: fed.shape[1], **self._open, **self.contract.sizes}
        return tuple(sizes.get(axis, 1) for axis in spec.axes)


def _advanced(spec: TensorSpec, state: np.ndarray, fed: np.ndarray) -> np.ndarray:
    """Return a state after one step that was fed ``[B]``; integers and bools turn between 0 and 1,
    and a state without a batch takes nothing in.
    """
    if state.dtype.kind != "f":
        made: np.ndarray = (state == 0).astype(state.dtype)
        return made
    if spec.axis(BATCH) is None:
        return np.asarray(state / np.float32(2)).astype(state.dtype)
    wide = fed.reshape([-1 if axis == BATCH else 1 for axis in spec.axes])
    return np.asarray(state / np.float32(2) + wide).astype(state.dtype)


def _spread(spec: TensorSpec, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return ``rows [B, T]`` along the axes of an output: the last step where it has no time, and
    zeros where it has no batch.
    """
    if BATCH not in spec.axes:
        return np.zeros(shape, np.float32)
    own = rows if TIME in spec.axes else rows[:, -1:]
    turned = own.T if TIME in spec.axes and spec.axis(TIME) < spec.axis(BATCH) else own  # type: ignore[operator]
    places = [axis in (BATCH, TIME) for axis in spec.axes]
    sizes = iter(turned.shape)
    lean = [next(sizes) if there else 1 for there in places]
    return np.broadcast_to(turned.reshape(lean), shape).copy()
