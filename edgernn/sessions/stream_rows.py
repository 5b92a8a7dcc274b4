"""The streams that share a call: their states and contexts, a row each, in arrays of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from edgernn.contract import BATCH, STEP, FileContract
from edgernn.errors import ContractError, UsageError
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.feeds import CheckedFeeds

Member = TypeVar("Member")


class Places:
    """Where the axis ``batch`` of each tensor stands, and what follows from it.

    Args:
        session: of a step file.

    Raises:
        ContractError: the file is no step, or a tensor of it has no axis ``batch``.
    """

    def __init__(self, session: Session) -> None:
        contract = session.file_contract
        if contract.graph != STEP:
            raise ContractError(f"the file computes {contract.graph}; open the bundle's step file")
        spec = session.spec
        self.of: dict[str, int] = {}
        for tensor in (*spec.inputs, *spec.outputs):
            place = tensor.axis(BATCH)
            if place is None:
                raise ContractError(
                    f"{tensor.name} has no axis {BATCH} ([{', '.join(tensor.axes)}]), so that no "
                    "streams share a call; open a session for each, or export a step that has one"
                )
            self.of[tensor.name] = place
        self.fresh = tuple(tensor.name for tensor in spec.fresh_inputs)
        self.read = tuple(tensor.name for tensor in spec.read_outputs)
        others = {axis: size for axis, size in contract.narrowing.axes.items() if axis != BATCH}
        self.single = _narrowed(contract, {**others, BATCH: 1})  # the file, of one row
        self._checked_fresh = CheckedFeeds(_narrowed(contract, others), spec.fresh_inputs, ())

    def take(self, arrays: Arrays, rows: Sequence[int]) -> dict[str, np.ndarray]:
        """Return rows of each tensor."""
        return {name: np.take(array, rows, self.of[name]) for name, array in arrays.items()}

    def put(self, array: np.ndarray, name: str, rows: Sequence[int], part: np.ndarray) -> None:
        """Write ``part`` into rows of a tensor."""
        array[(slice(None),) * self.of[name] + (rows,)] = part

    def stacked(self, parts: Sequence[Arrays]) -> dict[str, np.ndarray]:
        """Return tensors of one row each as those of all rows."""
        return {
            name: np.concatenate([part[name] for part in parts], self.of[name]) for name in parts[0]
        }

    def apart(self, arrays: Arrays, rows: int) -> Iterable[dict[str, np.ndarray]]:
        """Yield the tensors of each row."""
        for row in range(rows):
            yield {
                name: array[(slice(None),) * self.of[name] + (slice(row, row + 1),)]
                for name, array in arrays.items()
            }

    def joined(self, parts: Sequence[Arrays], order: Sequence[int]) -> dict[str, np.ndarray]:
        """Return the rows of several calls in the order that was asked for.

        Args:
            parts: outputs of each call by name.
            order: where each row of them, one call after the other, stands.

        Raises:
            UsageError: an output has several sizes.
        """
        for name in parts[0]:
            found = {_one_row(part[name].shape, self.of[name]) for part in parts}
            if len(found) > 1:
                raise UsageError(
                    f"{name} has several sizes, {sorted(found)}, because the contexts have; step "
                    "these streams with step_each"
                )
        made = self.stacked(parts)
        if list(order) == sorted(order):
            return made
        return self.take(made, [int(row) for row in np.argsort(order)])

    def check_rows(self, inputs: Arrays, rows: int) -> None:
        """Refuse inputs that are no arrays of so many rows; of what shape else the session says."""
        if rows == 0:
            raise ContractError("no streams to step; join one")
        for name, array in inputs.items():
            if (
                name not in self.fresh
                or not isinstance(array, np.ndarray)
                or array.ndim <= self.of[name]
            ):
                self._checked_fresh(inputs, {})  # says what is wrong
            shape, place = array.shape, self.of[name]
            if shape[place] != rows:
                raise ContractError(
                    f"{name} has {BATCH} = {shape[place]} (shape {list(shape)}), expected "
                    f"{rows}, a row for each stream"
                )


@dataclass(frozen=True)
class PendingStep(Generic[Member]):
    """A step that was computed, and is not kept yet: either all calls of a step are, or none."""

    group: StreamRows[Member]
    rows: Sequence[int]
    outputs: dict[str, np.ndarray]
    state: State

    def keep(self) -> None:
        """Make the next state that of its streams."""
        self.group.keep(self.rows, self.state)


class StreamRows(Generic[Member]):
    """Streams whose contexts have the same shapes, a row each in the order of ``members``.

    A file with a fixed number of rows gets so many at every call, the last ones unused.
    """

    def __init__(self, session: Session, places: Places, checked: CheckedFeeds) -> None:
        self.members: list[Member] = []
        self._session, self._places, self._checked = session, places, checked
        self._size = session.file_contract.axis_size(BATCH)  # of every call, or None
        self._contexts: dict[str, np.ndarray] = {}
        self._state: State = {}
        self._own: set[str] = set()  # states whose arrays nobody else may hold

    def takes(self, contexts: Arrays) -> bool:
        """Return whether contexts of one row have the shapes of those here."""
        return all(
            _one_row(array.shape, place) == _one_row(self._contexts[name].shape, place)
            for name, array in contexts.items()
            for place in (self._places.of[name],)
        )

    def row_of(self, member: Member) -> int:
        """Return the row of a stream."""
        return self.members.index(member)

    def add(self, member: Member, contexts: Arrays, state: Arrays) -> None:
        """Append a stream; its tensors are copied."""
        self._contexts, self._state = (
            {name: self._grown(name, kept.get(name), array) for name, array in given.items()}
            for kept, given in ((self._contexts, contexts), (self._state, state))
        )
        self._own = set(self._state)
        self.members.append(member)

    def _grown(self, name: str, kept: np.ndarray | None, row: np.ndarray) -> np.ndarray:
        place = self._places.of[name]
        if self._size is None:
            return np.concatenate([row] if kept is None else [kept, row], place)
        made = np.repeat(row, self._size, place) if kept is None else kept.copy()
        self._places.put(made, name, [len(self.members)], row)
        return made

    def remove(self, member: Member) -> None:
        """Take a stream out; of a fixed number of rows its row becomes the last, unused one."""
        row = self.row_of(member)
        rows = [other for other in range(len(self.members)) if other != row]
        if self._size is not None:
            rows += [row, *range(len(self.members), self._size)]
        self._contexts = self._places.take(self._contexts, rows)
        self._state = self._places.take(self._state, rows)
        self._own = set(self._state)
        del self.members[row]

    def state_of(self, member: Member) -> State:
        """Return a copy of a stream's state, of one row."""
        return self._places.take(self._state, [self.row_of(member)])

    def set_state(self, member: Member, state: Arrays) -> None:
        """Put a state of one row in the place of a stream's own; raises ContractError."""
        row = [self.row_of(member)]
        self._checked(self._places.take(self._contexts, row), state)
        self.keep(row, {name: array.copy() for name, array in state.items()})

    def step(self, rows: Sequence[int], inputs: Arrays) -> PendingStep[Member]:
        """Compute the step of some rows; ``inputs`` in their order."""
        every = list(rows) == list(range(len(self.members)))
        if self._size is not None:
            if not (every and len(rows) == self._size):
                inputs = {name: self._wide(name, rows, inputs[name]) for name in inputs}
            outputs, state = self._session.step({**inputs, **self._contexts}, self._state)
            if len(rows) < self._size or not every:
                outputs = self._places.take(outputs, rows)
                state = self._places.take(state, rows)
        elif every:
            outputs, state = self._session.step({**inputs, **self._contexts}, self._state)
        else:
            contexts = self._places.take(self._contexts, rows)
            before = self._places.take(self._state, rows)
            outputs, state = self._session.step({**inputs, **contexts}, before)
        return PendingStep(self, rows, outputs, state)

    def _wide(self, name: str, rows: Sequence[int], part: np.ndarray) -> np.ndarray:
        """Return an input of every row of the file, zeros where no stream says anything."""
        place, shape = self._places.of[name], list(part.shape)
        shape[place] = self._size or 0
        made = np.zeros(shape, part.dtype)
        self._places.put(made, name, rows, part)
        return made

    def keep(self, rows: Sequence[int], state: State) -> None:
        """Make ``state``, in the order of ``rows``, that of their streams."""
        if list(rows) == list(range(len(self.members))) and self._size in (None, len(rows)):
            self._state, self._own = state, set()
            return
        for name, part in state.items():
            if name not in self._own:
                self._state[name] = self._state[name].copy()
                self._own.add(name)
            self._places.put(self._state[name], name, rows, part)


def _narrowed(contract: FileContract, axes: dict[str, int]) -> FileContract:
    narrowing = contract.narrowing.model_copy(update={"axes": axes})
    return contract.model_copy(update={"narrowing": narrowing})


def _one_row(shape: tuple[int, ...], place: int) -> tuple[int, ...]:
    return (*shape[:place], *shape[place + 1 :])
