"""The file's own run over a whole sequence, and the step's run in calls, tensor by tensor under the
contract's names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgernn.contract import BATCH, TIME, TensorSpec, next_name
from edgernn.hoisting.onnx.running import Arrays, Runner, drawn
from edgernn.hoisting.onnx.step import ForeignStep


class FileRun:
    """The file itself, driven as its own wrapper would: states fed back, frames kept in front."""

    def __init__(self, step: ForeignStep) -> None:
        self.step, self.run_once = step, Runner(step.original)
        self._batch = 1
        self.own = {s.before: s for s in step.states if s.own}
        self.given = {n: d for n, d in step.declared.items() if n not in self.own}
        names = step.promised
        self.names = {names.inputs[name]: name for name in self.given}
        self.outputs = {
            new: old for old, new in names.outputs.items() if new in self._read_names(step)
        }

    @staticmethod
    def _read_names(step: ForeignStep) -> set[str]:
        return {spec.name for spec in step.contract.step.read_outputs}

    def is_open(self, axis: str) -> bool:
        """Whether the caller chooses the size of an axis."""
        specs = self.step.contract.step.fresh_inputs
        return any(axis in spec.axes for spec in specs)

    def draw(self, random: np.random.Generator, steps: int, batch: int) -> dict[str, np.ndarray]:
        """Return inputs of a whole run by their names in the contract: along time where an input
        has it, else along a first axis where no input has.
        """
        contract, made = self.step.contract, {}
        for spec in contract.step.fresh_inputs:
            shape = contract.shape(spec, **{BATCH: batch, TIME: steps})
            lead = () if contract.step.has_time else (steps,)
            made[spec.name] = drawn(self.given[self.names[spec.name]], (*lead, *shape), random)
        return made

    def first(self, tensors: Arrays, frames: int) -> dict[str, np.ndarray]:
        """Return the first frames of inputs or outputs of a whole run."""
        cut = slice(0, frames)
        return {name: _frames(self.step, name, array, cut) for name, array in tensors.items()}

    def row(self, tensors: Arrays) -> dict[str, np.ndarray]:
        """Return the second row of inputs or outputs of a whole run."""
        return {name: _row(self.step, name, array) for name, array in tensors.items()}

    def run(self, inputs: Arrays, steps: int) -> dict[str, np.ndarray]:
        """Return the outputs of the file over a whole run, by their names in the contract."""
        timed = self.step.contract.step.has_time
        batch = self._batch = _batch_of(self.step, inputs)
        if self.step.by_prefix:
            return self._by_prefix(inputs, steps, batch)
        states = {
            name: np.zeros(own.declared.shape({BATCH: batch}), own.declared.dtype)
            for name, own in self.own.items()
        }
        past = {name: self._silence(name, batch) for name in self.step.context}
        parts = []
        for place in range(1 if timed else steps):
            call = inputs if timed else {name: array[place] for name, array in inputs.items()}
            feeds = {self.names[name]: array for name, array in call.items()}
            for name, (along, count) in self.step.context.items():
                feeds[name] = np.concatenate([past[name], feeds[name]], along)
                length = feeds[name].shape[along]
                past[name] = np.take(feeds[name], range(length - count, length), along)
            made = self.run_once({**feeds, **states})
            if not timed:
                states = {name: made[state.after] for name, state in self.own.items()}
            parts.append({new: self._apart(new, made[old]) for new, old in self.outputs.items()})
        if timed:
            return parts[0]
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    def _apart(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return an output that has batch and time in one axis with an axis for each."""
        axes = _spec(self.step, name).axes
        if array.ndim == len(axes):
            return array
        known = self.step.contract.sizes
        found = [known.get(axis) or (self._batch if axis == BATCH else -1) for axis in axes]
        return array.reshape(found)

    def _by_prefix(self, inputs: Arrays, steps: int, batch: int) -> dict[str, np.ndarray]:
        """Return what the file gives for the last of the first frames, for every number of them."""
        first = {
            name: np.zeros(own.declared.shape({BATCH: batch}), own.declared.dtype)
            for name, own in self.own.items()
        }
        parts = []
        for place in range(steps):
            feeds = {}
            for name, array in inputs.items():
                own = self.names[name]
                along = self.step.declared[own].place(TIME)
                frames = [self._silence(own, batch)] if own in self.step.context else []
                frames += [array[at] for at in range(place + 1)]
                feeds[own] = array[place] if along is None else np.concatenate(frames, along)
            made = self.run_once({**feeds, **first})
            parts.append({new: self._last(new, made[old]) for new, old in self.outputs.items()})
        return {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    def _last(self, name: str, array: np.ndarray) -> np.ndarray:
        """Return the last frame of an output that has all of them."""
        sizes = self.step.contract.sizes
        for along, axis in enumerate(_spec(self.step, name).axes):
            if axis != BATCH and array.shape[along] != sizes[axis]:
                return np.take(array, range(-sizes[axis], 0), along)
        return array

    def _silence(self, name: str, batch: int) -> np.ndarray:
        along, count = self.step.context[name]
        shape = list(self.given[name].shape({BATCH: batch, TIME: count}))
        shape[along] = count
        return np.zeros(shape, self.given[name].dtype)


class StepRun:
    """The step, run in calls of any length on its own state."""

    def __init__(self, step: ForeignStep) -> None:
        self.step, self.run_once = step, Runner(step.model_proto)

    def run(self, inputs: Arrays, lengths: Sequence[int]) -> dict[str, np.ndarray]:
        """Return every output over the whole run."""
        contract = self.step.contract
        batch = _batch_of(self.step, inputs)
        state = {}
        for spec in contract.step.states:
            shape = contract.shape(spec, **{BATCH: batch})
            first = self.step.first_state.get(spec.name, np.zeros((), spec.dtype))
            state[spec.name] = np.broadcast_to(first, shape).astype(spec.dtype)
        parts, at = [], 0
        for length in lengths:
            call = {
                name: _frames(self.step, name, array, slice(at, at + length))
                for name, array in inputs.items()
            }
            if not contract.step.has_time:
                call = {name: array[0] for name, array in call.items()}
            made = self.run_once({**call, **state})
            state = {name: made[next_name(name)] for name in state}
            parts.append({spec.name: made[spec.name] for spec in contract.step.read_outputs})
            at += length
        return {name: self._joined(name, [part[name] for part in parts]) for name in parts[0]}

    def _joined(self, name: str, parts: list[np.ndarray]) -> np.ndarray:
        if not self.step.contract.step.has_time:
            return np.stack(parts)
        along = _spec(self.step, name).axis(TIME)
        assert along is not None
        return np.concatenate(parts, along)


def _spec(step: ForeignStep, name: str) -> TensorSpec:
    spec = step.contract.step
    return next(t for t in (*spec.inputs, *spec.outputs) if t.name == name)


def _batch_of(step: ForeignStep, inputs: Arrays) -> int:
    lead = 0 if step.contract.step.has_time else 1
    for name, array in inputs.items():
        if (place := _spec(step, name).axis(BATCH)) is not None:
            return int(array.shape[place + lead])
    return 1


def _frames(step: ForeignStep, name: str, array: np.ndarray, where: slice) -> np.ndarray:
    """Return some frames of a tensor of a whole run; all of it where it has no time."""
    if not step.contract.step.has_time:
        return array[where]
    along = _spec(step, name).axis(TIME)
    if along is None:
        return array
    cut: np.ndarray = array[(slice(None),) * along + (where,)]
    return cut


def _row(step: ForeignStep, name: str, array: np.ndarray) -> np.ndarray:
    lead = 0 if step.contract.step.has_time else 1
    place = _spec(step, name).axis(BATCH)
    return array if place is None else np.take(array, [1], place + lead)
