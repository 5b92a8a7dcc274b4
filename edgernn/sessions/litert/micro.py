"""tflite-micro: LiteRT's float32 files in the runtime of microcontrollers, to verify them.

Its wheel runs on a computer what a microcontroller runs, with the same kernels in C++. One arena
holds all that a call needs. It is made too large on purpose and then asked what it holds: some
kernels read through a null pointer where it is too small.
"""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError, UnavailableError, UsageError
from edgernn.sessions.base import Arrays, Session, checked_threads
from edgernn.sessions.c_messages import kept_messages
from edgernn.sessions.litert.guard import refuse_foreign
from edgernn.sessions.litert.model_file import ModelFile, content_of, read

NAME = "tflite-micro"
# an arena holds every tensor that is computed, and of each tensor and operator some structs
_LEAST_ARENA, _ENTRY_BYTES = 1 << 16, 512
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_REASONS = ("Didn't find op", "not supported", "was not true")  # in its words


class TfliteMicroSession(Session):
    """A session of tflite-micro: one row, one step a call.

    Attributes:
        arena_bytes: what it takes of the arena, with pointers of 64 bits; a microcontroller's take
            less.
    """

    runtime = NAME

    def __init__(
        self,
        interpreter: Any,
        model: ModelFile,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self.arena_bytes = _used_bytes(interpreter)
        self.runtime = f"{NAME} {metadata.version(NAME)}, {self.arena_bytes} bytes of arena"
        self._interpreter = interpreter
        self._lock = Lock()  # of two threads that share a session the second one waits
        given, made = model.signature.inputs, model.signature.outputs
        self._given = [(t.name, model.inputs.index(given[t.name])) for t in self.spec.inputs]
        self._made = [(t.name, model.outputs.index(made[t.name])) for t in self.spec.outputs]

    @classmethod
    def at(cls, folder: Path | None) -> type[TfliteMicroSession]:
        """Return the session where the runtime is installed.

        Raises:
            UsageError: a folder is named, and it is a Python package.
            UnavailableError: it is not installed; says what brings it.
        """
        if folder is not None:
            raise UsageError(f"{NAME} is a package of Python, in no folder; leave {folder} out")
        _runtime()
        return cls

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
    ) -> TfliteMicroSession:
        """See ``Session.open``; UnavailableError also for a file that the runtime does not take. It
        has one thread.
        """
        checked_threads(threads)
        data = content_of(path)
        model = refuse_foreign(data, path)
        _refuse_integers(model, path)
        return cls(_placed(data, model, path), model, file_contract, first_state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        runtime = self._interpreter
        with self._lock:
            try:
                for name, place in self._given:
                    runtime.set_input(np.ascontiguousarray(feeds[name]), place)
                runtime.invoke()
                return {name: np.array(runtime.get_output(place)) for name, place in self._made}
            except (RuntimeError, ValueError) as error:
                raise ContractError(f"{NAME} refuses the call: {error}") from error


def _runtime() -> Any:
    """Return the runtime's module; raise UnavailableError where it is not installed."""
    try:
        from tflite_micro.python.tflite_micro import runtime
    except ImportError as error:
        raise UnavailableError(
            f"running {NAME} needs the package {NAME!r}, which is not installed; run: pip install "
            f"--pre {NAME} (its wheels are for Linux on x86-64)"
        ) from error
    return runtime


def _refuse_integers(model: ModelFile, path: Path) -> None:
    """Raise UnavailableError for weights in integers: beside activations in floats its products
    refuse them, and its DEQUANTIZE reads the first row's scale for all, without a word.
    """
    for tensor in model.tensors:
        if tensor.data is not None and (len(tensor.scales) or tensor.block_size):
            raise UnavailableError(
                f"{NAME} takes no {tensor.dtype} weights beside activations in floats, and "
                f"{path.name} has {tensor.name!r}; verify the float32 file"
            )


def _placed(data: bytes, model: ModelFile, path: Path) -> Any:
    """Return an interpreter in an arena that is large enough.

    Raises:
        UnavailableError: the runtime does not take the file; tells its reason.
    """
    entries = len(model.tensors) + len(model.operators)
    computed = sum(tensor.bytes for tensor in model.tensors if tensor.data is None)
    arena_bytes = _LEAST_ARENA + _ENTRY_BYTES * entries + computed
    with kept_messages() as told:
        try:
            return _runtime().Interpreter.from_bytes(data, arena_size=arena_bytes)
        except RuntimeError as error:
            lines = [*told(), str(error)]
    reason = next((line for line in lines if any(words in line for words in _REASONS)), lines[-1])
    raise UnavailableError(f"{NAME} does not take {path.name}: {reason}; verify it in LiteRT")


def _used_bytes(interpreter: Any) -> int:
    """Return what an interpreter takes of its arena, which it only prints; 0 where it does not."""
    with kept_messages() as told:
        interpreter.print_allocations()
        found = next((match for line in told() if (match := _TOTAL.search(line))), None)
    return int(found[1]) if found else 0
