"""The protocol of every runtime: ``step(inputs, state) -> (outputs, state)``, with nothing
remembered in between.

The file of an encode graph is a session too: ``encode(inputs) -> (contexts, state)``, once per
sequence.

A session checks what it is given against the contract, converts to the file's narrower dtypes and
back, and never changes the arrays it was given. So reset, fork, save and restore are plain
operations on a dict of arrays.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from edgernn.contract import BATCH, ENCODE, PICTURE, STEP, TIME, FileContract, TensorSpec, next_name
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.wording import whole

State = dict[str, np.ndarray]
Arrays = Mapping[str, np.ndarray]
Layout = dict[str, tuple[np.dtype, tuple[int, ...]]]  # name → dtype and shape


class Session(ABC):
    """One model file, opened in one runtime.

    A runtime implements ``describe``, ``open`` and ``_run``; everything that the contract demands
    is done here.

    Args:
        file_contract: what the file promises.
        first_state: the first values of the states that the contract says are stored, each with
            one row.
    """

    runtime: ClassVar[str]  # in words, for reports

    def __init__(self, file_contract: FileContract, first_state: Arrays | None = None) -> None:
        self.file_contract = file_contract
        self.contract = file_contract.contract
        self.spec = file_contract.spec
        self._first_state = first_state
        self._input_specs, self._state_specs = self.spec.caller_inputs, self.spec.states
        self._file_dtypes = {
            t.name: _numpy_dtype(file_contract.dtype(t), t) for t in self.spec.inputs
        }
        self._dtypes = {t.name: np.dtype(t.dtype) for t in self.spec.outputs}
        self._read = tuple(t.name for t in self.spec.read_outputs)
        self._next = {s.name: next_name(s.name) for s in self._state_specs}
        self._right: tuple[Layout, Layout] | None = (
            None  # of the inputs and states of the last call that was found right
        )

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
    ) -> Session:
        """Open the file for stepping.

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

    def _own_first_state(self, batch: int) -> State:
        """Return the first values of the states that are zeros or stored, for ``batch`` rows."""
        stored, first = self.contract.starting("stored"), self._first_state or {}
        if missing := [spec.name for spec in stored if spec.name not in first]:
            raise ContractError(
                f"the first state is learned and its values {missing} were not given; open the "
                "model through its bundle"
            )
        state = {}
        for spec in self.contract.step.states:
            shape = self.contract.shape(spec, batch=batch)
            if spec in stored:
                state[spec.name] = np.broadcast_to(first[spec.name], shape).astype(spec.dtype)
            elif spec.name not in self.contract.initial_state:
                state[spec.name] = np.zeros(shape, spec.dtype)
        return state

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
        results = self._checked_results(ENCODE, inputs, {})
        contexts = {t.name: results[t.name] for t in self.spec.outputs if t.role == "context"}
        given = {t.name: results[t.name] for t in self.spec.outputs if t.role == "state"}
        own = self._own_first_state(self._batch_of(inputs))
        return contexts, {s.name: {**own, **given}[s.name] for s in self.contract.step.states}

    def _batch_of(self, inputs: Arrays) -> int:
        """Return the size of the batch in ``inputs``; 1 where no input has one."""
        for spec in self._input_specs:
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

    def _checked_feeds(self, inputs: Arrays, state: Arrays) -> dict[str, np.ndarray]:
        """Return every input of the file in its own dtype.

        A call laid out like the last one that was right is right too, but for its values: that is
        one comparison a tensor, 2 µs in place of the 10 µs in which everything is looked at and
        what is wrong can be named.
        """
        for given, kind in ((inputs, "inputs"), (state, "state")):
            if not isinstance(given, dict):
                raise ContractError(
                    f"{kind} is {type(given).__name__}, expected a dict of arrays by name"
                )
        if self._right and all(map(_is_laid_out, (inputs, state), self._right)):
            for spec in self._input_specs:
                self._check_values(spec, inputs[spec.name])
        else:
            self._check_all(inputs, state)
            self._right = (_layout(inputs), _layout(state))
        given = {**inputs, **state}
        return {
            name: np.asarray(given[name], dtype, order="C")
            for name, dtype in self._file_dtypes.items()
        }

    def _check_all(self, inputs: Arrays, state: Arrays) -> None:
        sizes: dict[str, tuple[int, str]] = {}  # open axis → its size, and the tensor that set it
        for given, specs, kind in (
            (inputs, self._input_specs, "input"),
            (state, self._state_specs, "state"),
        ):
            unknown = given.keys() - {spec.name for spec in specs}
            if unknown:
                raise ContractError(
                    f"unknown {kind} {sorted(unknown)}; expected {[spec.name for spec in specs]}"
                )
            for spec in specs:
                if spec.name not in given:
                    raise ContractError(
                        f"{kind} {spec.name!r} is missing; "
                        + (
                            "feed back what the last step returned"
                            if kind == "state"
                            else f"it is {_text(spec)}"
                        )
                    )
                self._check(spec, given[spec.name], sizes)
                self._check_values(spec, given[spec.name])
        time, frames = sizes.get(TIME), self.contract.step_frames
        if time is not None and time[0] % frames:
            raise ContractError(
                f"{time[1]} has {time[0]} frames, expected a multiple of the {frames} of a step"
            )

    def _check(
        self, spec: TensorSpec, array: np.ndarray, sizes: dict[str, tuple[int, str]]
    ) -> None:
        if not isinstance(array, np.ndarray) or array.dtype != spec.dtype:
            found = getattr(array, "dtype", type(array).__name__)
            raise ContractError(f"{spec.name} is {found}, expected {_text(spec)}")
        if array.ndim != len(spec.axes):
            raise ContractError(
                f"{spec.name} has shape {list(array.shape)}, expected {_text(spec)}"
            )
        for axis, size in zip(spec.axes, array.shape, strict=True):
            fixed = self.file_contract.axis_size(axis)
            wanted, origin = (
                (fixed, "this file") if fixed else sizes.setdefault(axis, (size, spec.name))
            )
            if size != wanted or size == 0:
                raise ContractError(
                    f"{spec.name} has {axis} = {size} (shape {list(array.shape)}), "
                    + (f"expected {wanted} as in {origin}" if size else "expected at least 1")
                )

    def _check_values(self, spec: TensorSpec, array: np.ndarray) -> None:
        """Refuse ids outside their range: some runtimes read another row of the table for them
        without a word.
        """
        if spec.below is not None:
            size = self.contract.sizes[spec.below]
            if array.min() < 0 or array.max() >= size:
                outside = array[(array < 0) | (array >= size)]
                raise ContractError(
                    f"{spec.name} has the value {outside[0]}, expected 0 to {size - 1}"
                )


def checked_threads(threads: int | None) -> int | None:
    """Return ``threads``; raise UsageError where it is no number or less than 1."""
    return (
        None
        if threads is None
        else whole(threads, "threads", remedy="; leave it out for the runtime's own choice")
    )


def _layout(given: Arrays) -> Layout:
    return {name: (array.dtype, array.shape) for name, array in given.items()}


def _is_laid_out(given: Arrays, layout: Layout) -> bool:
    return given.keys() == layout.keys() and all(
        isinstance(array, np.ndarray) and (array.dtype, array.shape) == layout[name]
        for name, array in given.items()
    )


def _numpy_dtype(name: str, spec: TensorSpec) -> np.dtype:
    return np.dtype(spec.dtype if name == PICTURE else name)


def _text(spec: TensorSpec) -> str:
    return f"{spec.dtype} [{', '.join(spec.axes)}]"
