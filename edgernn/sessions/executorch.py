"""ExecuTorch: runs ``.pte`` files through its Python runtime, one row and one step a call.

A program has no names: its contract's JSON is what its method ``edgernn`` returns, and tensors go
in and come out in that order. The file is read whole before the runtime sees it, which trusts the
places that it finds in a delegate.

The runtime's own ``executorch.runtime`` imports the whole converter, seven seconds of it; the
module beneath it is imported alone, and only to run a file.
"""

from __future__ import annotations

import io
import struct
from contextlib import redirect_stderr
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edgernn import formats
from edgernn.contract import METADATA_KEY, STEP, FileContract, first_line
from edgernn.contract.interface import FileDescription, FileTensor, Interface, interface_problems
from edgernn.errors import ContractError
from edgernn.formats.executorch import EXECUTORCH
from edgernn.sessions.base import Arrays, Session, State
from edgernn.sessions.pte.arguments import check_arguments
from edgernn.sessions.pte.given import GivenTensors
from edgernn.sessions.pte.program import Method, Program, read_program
from edgernn.sessions.pte.stored import FORWARD, graphs_of
from edgernn.sessions.pte.xnnpack import BACKEND
from edgernn.sessions.runtime_versions import installed

_RUNTIME = "executorch.extension.pybindings._C"
_BACKENDS = {BACKEND: "XNNPACK"}


class ExecuTorchSession(Session):
    """A session over one loaded method.

    ``threads`` is of the whole process: ExecuTorch has one pool of threads, which the last file
    that was opened with a number sets.
    """

    runtime = "ExecuTorch"

    def __init__(
        self,
        method: Any,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        as_promised: bool = False,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._method, self._as_promised = method, as_promised
        self._given = GivenTensors(file_contract, _found("torch:from_numpy"))
        self._outputs = [tensor.name for tensor in file_contract.interface().outputs]
        self._lock = Lock()  # a method plans one memory for what it computes

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; nothing of the file runs."""
        return _description(read_program(path), path)

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> ExecuTorchSession:
        """See ``Session.open``; ``threads`` counts for every ExecuTorch file of the process."""
        program = read_whole(path)
        found = _description(program, path)
        _check_arguments(program, path)  # by torch, which the runtime is linked with
        load, verification = _found(f"{_RUNTIME}:_load_program"), _found(f"{_RUNTIME}:Verification")
        # it tells there what it looks for on this machine, and why it fails
        with redirect_stderr(io.StringIO()) as told:
            try:
                _share(threads)
                loaded = load(str(path), program_verification=verification.InternalConsistency)
                method = loaded.load_method(FORWARD)
            except (RuntimeError, MemoryError) as error:
                raise ContractError(
                    f"{path} is not a program that ExecuTorch can open: {first_line(error)}"
                    f"{_last_line(told)}"
                ) from error
        problems = interface_problems(file_contract.interface(), found.interface)
        return cls(method, file_contract, first_state, as_promised=not problems)

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``: of a right call, one look at each tensor; the rest is left to it.

        Measured over a bare call of the method: 3 to 4 µs; ``Session.step`` takes 10.
        """
        if self._as_promised and self.spec.name == STEP:
            with self._lock:
                given = self._given.of_call(inputs, state)
                if given is not None:
                    results = self._called(given)
                    return {name: results[name] for name in self._read}, {
                        name: results[out] for name, out in self._next.items()
                    }
        return super().step(inputs, state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            return self._called(self._given.of_feeds(feeds))

    def _called(self, given: list[Any]) -> dict[str, np.ndarray]:
        try:
            made = self._method(given, False)
        except RuntimeError as error:
            raise ContractError(
                f"ExecuTorch could not run {self.spec.name}: {first_line(error)}"
            ) from error
        if len(made) != len(self._outputs):
            raise ContractError(
                f"the file returns {len(made)} tensors, its contract promises {self._outputs}; "
                "export it again"
            )
        # they lie in memory that the next call writes
        return {name: made[at].numpy().copy() for at, name in enumerate(self._outputs)}


def lacking() -> str | None:
    """Say in words that the runtime is not installed; None where it is. A file says what it
    promises without it.
    """
    if installed(EXECUTORCH.packages[0]) is None:
        return f"executorch (the extra {EXECUTORCH.run_extra})"
    return None


def read_whole(path: Path) -> Program:
    """Read a program with all its delegates; raise ContractError where anything of it is damaged,
    or it has no step.
    """
    program = read_program(path)
    if FORWARD not in program.by_name:
        raise ContractError(
            f"{path} has no method {FORWARD!r}, so it is no step that edgernn exported"
        )
    try:
        for method in program.methods:
            graphs_of(program, method)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise ContractError(
            f"{path} is not a whole ExecuTorch program: {first_line(error)}; copy it or export it "
            "again"
        ) from error
    return program


def _check_arguments(program: Program, path: Path) -> None:
    try:
        for method in program.methods:
            check_arguments(method, _found("torch:ops"))
    except ValueError as error:
        raise ContractError(
            f"{path} is not a program that ExecuTorch can run: {error}; export it again"
        ) from error


def _description(program: Program, path: Path) -> FileDescription:
    method = program.by_name.get(FORWARD)
    if method is None:
        raise ContractError(
            f"{path} has no method {FORWARD!r}, so it is no step that edgernn exported"
        )
    text = program.text(METADATA_KEY)
    metadata = {} if text is None else {METADATA_KEY: text}
    inputs, outputs = _names(metadata, method, source=str(path))
    backends = dict.fromkeys(_BACKENDS.get(d.backend, d.backend) for d in method.delegates)
    return FileDescription(
        Interface(
            _tensors(method, method.inputs, inputs), _tensors(method, method.outputs, outputs)
        ),
        metadata,
        ", ".join(backends) or "portable operators",
    )


def _names(metadata: dict[str, str], method: Method, *, source: str) -> tuple[list[str], list[str]]:
    """Return what the contract in the file calls its inputs and outputs, or their numbers where it
    has none, or another number of them.
    """
    if metadata:
        own = FileContract.from_metadata(metadata, source=source).interface()
        inputs, outputs = ([t.name for t in side] for side in (own.inputs, own.outputs))
        if (len(inputs), len(outputs)) == (len(method.inputs), len(method.outputs)):
            return inputs, outputs
    return (
        [f"input {place}" for place in range(len(method.inputs))],
        [f"output {place}" for place in range(len(method.outputs))],
    )


def _tensors(method: Method, places: tuple[int, ...], names: list[str]) -> tuple[FileTensor, ...]:
    found = zip(names, (method.values[place] for place in places), strict=True)
    return tuple(FileTensor(name, value.dtype, value.shape) for name, value in found)


def _share(threads: int | None) -> None:
    """Let the process's pool have so many threads; None leaves it as it is."""
    if threads not in (None, _found(f"{_RUNTIME}:_threadpool_get_thread_count")()):
        _found(f"{_RUNTIME}:_unsafe_reset_threadpool")(threads)


@cache
def _found(target: str) -> Any:
    """Return ``module:attribute`` of torch or of the runtime; raise UnavailableError where it is
    not installed.
    """
    return formats.resolve(
        target, needed_for=f"running {EXECUTORCH.name}", extra=EXECUTORCH.run_extra
    )


def _last_line(told: io.StringIO) -> str:
    """Return the last line of what the runtime wrote, in words that follow an error."""
    lines = told.getvalue().strip().splitlines()
    return f" ({lines[-1]})" if lines else ""
