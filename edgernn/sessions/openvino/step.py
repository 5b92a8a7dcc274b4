"""The sessions of OpenVINO: the state as inputs and outputs, or kept by the runtime.

A network with open axes is compiled twice at most: for one row and one step, which is what a stream
calls, with every size fixed, for that is two to three times as fast; and as it is, once it is
called with another size.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edgernn.contract import BATCH, TIME, FileContract, TensorSpec
from edgernn.contract.interface import FileDescription, FileTensor, interface_problems
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, LeftToItself, Session, State, checked_threads
from edgernn.sessions.openvino.described import describe
from edgernn.sessions.openvino.runtime import (
    PRECISION,
    BoundCall,
    compile_model,
    fixed,
    read,
    run_kept,
    run_open,
    takes_bfloat16,
)

# name, the memory that is read, its dtype and shape, and what ids are below
_Place = tuple[str, np.ndarray, np.dtype, tuple[int, ...], int | None]
_Results = tuple[dict[str, np.ndarray], State]


class OpenVinoSession(Session):
    """A session of OpenVINO with the state as inputs and outputs, on one thread unless ``open`` is
    told otherwise.
    """

    runtime = "OpenVINO"

    def __init__(
        self,
        model: Any,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int = 1,
        precision: Mapping[str, str] = PRECISION,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._model = model
        self._compile = partial(compile_model, threads=threads, precision=precision)
        self._single = self._bound(_sizes(file_contract))
        self._layout = {name: array.shape for name, array in self._single.inputs.items()}
        self._lock = Lock()  # a request runs one call at a time
        given = (self.spec.caller_inputs, self._bound_states())
        self._places = tuple(tuple(map(self._place, tensors)) for tensors in given)

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; reads the file without the runtime."""
        return describe(path)

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> OpenVinoSession:
        """See ``Session.open``."""
        _refuse_other(path, describe(path), file_contract)
        return cls(read(path), file_contract, first_state, threads=checked_threads(threads) or 1)

    def left_to_itself(self) -> LeftToItself | None:
        """See ``Session.left_to_itself``: in bfloat16, where the processor has it."""
        if not takes_bfloat16():
            return None
        own = type(self)(self._model, self.file_contract, self.first_state, precision={})
        words = "a host that does not set INFERENCE_PRECISION_HINT=f32 computes in bfloat16 here"
        return LeftToItself(own, words)

    def _bound(self, sizes: dict[str, int]) -> BoundCall:
        """Compile the network for one row and one step, and bind memory to it."""
        interface = self.file_contract.interface()
        shapes = {n: _shape(t, sizes) for n, t in enumerate(interface.inputs)}
        compiled = self._compile(fixed(self._model, shapes))
        return BoundCall(
            compiled, {t.name: np.zeros(_shape(t, sizes), t.dtype) for t in interface.inputs}
        )

    def _bound_states(self) -> tuple[TensorSpec, ...]:
        """Return the states that are inputs."""
        return self.spec.states

    def _place(self, tensor: TensorSpec) -> _Place:
        own = self._single.inputs[tensor.name]
        below = None if tensor.below is None else self.contract.sizes[tensor.below]
        return tensor.name, own, own.dtype, own.shape, below

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``."""
        return self._single_step(inputs, state) or super().step(inputs, state)

    def _single_step(self, inputs: Arrays, state: Arrays) -> _Results | None:
        """Advance one row by one step; return None where the call is for ``Session.step``, which
        runs it or says what is wrong with it.
        """
        if self.spec.once or not self._lock.acquire(blocking=False):
            return None
        try:
            if not (_take(inputs, self._places[0]) and _take(state, self._places[1])):
                return None
            made = dict(zip(self._dtypes, self._single(), strict=True))
            return (
                {name: made[name] for name in self._read},
                {name: made[out] for name, out in self._next.items()},
            )
        finally:
            self._lock.release()

    @cached_property
    def _open(self) -> Any:
        return self._compile(self._model)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            if any(feeds[name].shape != shape for name, shape in self._layout.items()):
                made = run_open(self._open, [feeds[name] for name in self._layout])
            else:
                for name, own in self._single.inputs.items():
                    own[...] = feeds[name]
                made = self._single()
            return dict(zip(self._dtypes, made, strict=True))


class OpenVinoStateSession(OpenVinoSession):
    """A session of OpenVINO whose runtime keeps the state: it is written before and read after
    every step.

    That buys the same protocol as everywhere for 45 µs a step; an app that only streams forward
    leaves both out.
    """

    def _bound_states(self) -> tuple[TensorSpec, ...]:
        return ()

    def _single_step(self, inputs: Arrays, state: Arrays) -> _Results | None:
        return None

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not self.file_contract.narrowing.runtime_state:  # an encode file, which has no state
            return super()._run(feeds)
        given = [feeds[name] for name in self._layout]
        open_sizes = any(feeds[name].shape != shape for name, shape in self._layout.items())
        with self._lock:
            request = self._open.create_infer_request() if open_sizes else self._single.request
            made, kept = run_kept(request, given, {s.name: feeds[s.name] for s in self.spec.states})
        return {
            **dict(zip(self._read, made, strict=True)),
            **{self._next[name]: array for name, array in kept.items()},
        }


def _take(given: object, places: tuple[_Place, ...]) -> bool:
    """Copy what is given to the memory that is read; return whether it is all that is wanted, of
    the dtypes, shapes and values that are wanted.
    """
    if type(given) is not dict or len(given) != len(places):
        return False
    for name, own, dtype, shape, below in places:
        array = given.get(name)
        if type(array) is not np.ndarray or array.dtype is not dtype or array.shape != shape:
            return False
        if below is not None and not (
            0 <= array.item() < below
            if array.size == 1
            else 0 <= array.min() <= array.max() < below
        ):
            return False
        own[...] = array
    return True


def _refuse_other(path: Path, description: FileDescription, file_contract: FileContract) -> None:
    """Raise ContractError where the file has not the interface that was promised: the sizes of the
    memory that is bound to it follow from that.
    """
    problems = interface_problems(file_contract.interface(), description.interface)
    if problems:
        raise ContractError(f"{path} is not what its contract says: {'; '.join(problems)}")


def _sizes(file_contract: FileContract) -> dict[str, int]:
    """Return the size of every open axis in a call of one row and one step."""
    return {BATCH: 1, TIME: file_contract.contract.step_frames}


def _shape(tensor: FileTensor, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(
        size if isinstance(size, int) else sizes.get(size, 1) for size in tensor.shape or ()
    )
