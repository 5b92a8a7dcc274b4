"""LiteRT: the interpreter of ai-edge-litert, by the numbers of tensors; its signature runner takes
4 to 6 µs a call more.

A file is read and checked first (``guard``), and the runtime is given the bytes that were checked.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edgernn import formats
from edgernn.contract import FileContract, first_line, next_name
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.formats.litert import LITERT
from edgernn.sessions.base import Arrays, Session, State, checked_threads
from edgernn.sessions.litert.guard import refuse_foreign
from edgernn.sessions.litert.model_file import ModelFile, content_of, read
from edgernn.sessions.quiet import quiet_descriptor
from edgernn.sessions.runtime_versions import installed

_PACKAGE = "ai_edge_litert"


class LiteRTSession(Session):
    """A session of a LiteRT interpreter, whose memory is made once."""

    runtime = "LiteRT"

    def __init__(
        self,
        interpreter: Any,
        model: ModelFile,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._lock = Lock()  # of two threads that share a session the second one waits
        self._set, self._invoke = interpreter.set_tensor, interpreter.invoke
        self._get = interpreter.get_tensor
        self._given, self._made = model.signature.inputs, model.signature.outputs
        self._plan = _Plan(file_contract, model) if not self.spec.once else None

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; nothing of the file runs."""
        return read(path).description

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> LiteRTSession:
        """See ``Session.open``; the runtime's own default is one thread."""
        count, made = checked_threads(threads), _interpreter()
        data = content_of(path)
        model = refuse_foreign(data, path)
        lacking = [
            tensor.name
            for tensors, given in (
                (file_contract.spec.inputs, model.signature.inputs),
                (file_contract.spec.outputs, model.signature.outputs),
            )
            for tensor in tensors
            if tensor.name not in given
        ]
        if lacking:
            raise ContractError(
                f"{path} has no {lacking[0]!r}, which its contract names; export it again"
            )
        try:
            with quiet_descriptor():
                interpreter = made(model_content=data, num_threads=count)
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ContractError(
                f"{path} is not a file that LiteRT can run: {first_line(error)}"
            ) from error
        return cls(interpreter, model, file_contract, first_state)

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``; a right call goes straight to the runtime, any other one is left to
        that, which runs it or says what is wrong with it.
        """
        plan = self._plan
        if plan is None or not plan.takes(inputs, state):
            return super().step(inputs, state)
        set_tensor, get_tensor = self._set, self._get
        with self._lock:
            try:
                for name, place, dtype in plan.inputs:
                    given = inputs[name]
                    set_tensor(place, given if given.dtype is dtype else given.astype(dtype))
                for name, place, _ in plan.states:
                    set_tensor(place, state[name])
                self._invoke()
            except (RuntimeError, ValueError) as error:
                raise _refused(error) from error
            return {name: get_tensor(place) for name, place in plan.read}, {
                name: get_tensor(place) for name, place in plan.after
            }

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            try:
                for name, place in self._given.items():
                    self._set(place, feeds[name])
                self._invoke()
            except (RuntimeError, ValueError) as error:
                raise _refused(error) from error
            return {name: self._get(place) for name, place in self._made.items()}


def lacking() -> str | None:
    """Say in words that the runtime is not installed; None where it is. A file says what it
    promises without it.
    """
    if installed(LITERT.packages[0]) is None:
        return f"{_PACKAGE} (the extra {LITERT.run_extra})"
    return None


def _interpreter() -> Any:
    """Return the class of the runtime; raise UnavailableError where it is not installed."""
    return formats.resolve(
        f"{_PACKAGE}.interpreter:Interpreter",
        needed_for=f"running {LITERT.name}",
        extra=LITERT.run_extra,
    )


class _Plan:
    """Where each array of a call goes and comes from, and what a call is that needs no more
    checks.
    """

    def __init__(self, file_contract: FileContract, model: ModelFile) -> None:
        spec = file_contract.spec
        given, made = model.signature.inputs, model.signature.outputs
        self._laid_out = [
            [(t.name, np.dtype(t.dtype), model.tensors[given[t.name]].shape) for t in tensors]
            for tensors in (spec.caller_inputs, spec.states)
        ]
        self.inputs, self.states = (
            [(t.name, given[t.name], np.dtype(file_contract.dtype(t))) for t in tensors]
            for tensors in (spec.caller_inputs, spec.states)
        )
        self.read = [(t.name, made[t.name]) for t in spec.read_outputs]
        self.after = [(t.name, made[next_name(t.name)]) for t in spec.states]
        sizes = file_contract.contract.sizes
        self._ids = [(t.name, sizes[t.below]) for t in spec.caller_inputs if t.below is not None]
        same = all(file_contract.dtype(t) == t.dtype for t in (*spec.states, *spec.outputs))
        self._usual = same

    def takes(self, inputs: Arrays, state: Arrays) -> bool:
        """Return whether a call has every array, laid out as the file's, and ids in their range."""
        if not (self._usual and type(inputs) is dict and type(state) is dict):
            return False
        for arrays, laid_out in zip((inputs, state), self._laid_out, strict=True):
            if len(arrays) != len(laid_out):
                return False
            for name, dtype, shape in laid_out:
                array = arrays.get(name)
                if (
                    type(array) is not np.ndarray
                    or array.dtype is not dtype
                    or array.shape != shape
                ):
                    return False
        return all(_within(inputs[name], size) for name, size in self._ids)


def _refused(error: Exception) -> ContractError:
    return ContractError(f"LiteRT refuses the call: {first_line(error)}; export the file again")


def _within(ids: np.ndarray, size: int) -> bool:
    """Return whether every id is one of ``size``; of one alone it is a comparison."""
    if ids.size == 1:
        return bool(0 <= ids.item() < size)
    return bool(ids.min() >= 0 and ids.max() < size)
