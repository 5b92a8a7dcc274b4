"""C: a folder of C99 compiled by this machine's own compiler, and called without a copy of the
weights.

C is a program, so nobody's C is compiled for being in a bundle. The folder holds the graph that its
C was generated from; the C is generated again, and where the two are the same, that is compiled.
Neither needs more than numpy and a compiler.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edgernn import formats, storage
from edgernn.contract import FileContract, next_name
from edgernn.contract.file import METADATA_KEY
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError
from edgernn.formats.c import CHOICES, GENERATOR, C
from edgernn.sessions.base import Arrays, Session, State, checked_threads
from edgernn.sessions.compiler import build, find_compiler

GRAPH, CONTRACT, OPTIONS = "graph.onnx", "contract.json", "options.json"
_MOST_CONTRACT_BYTES, _MOST_OPTIONS_BYTES = 1 << 20, 1 << 12
_TENSOR = re.compile(
    r"/\* (?P<places>(?:in|out) \d+(?:, out \d+)?): (?P<name>\w+) (?P<dtype>\w+) "
    r"\[(?P<sizes>[a-z0-9_=, ]*)\] \*/"
)


class CompiledSession(Session):
    """A session of a compiled graph: its memory is made once, and every call goes over it."""

    runtime = "C"

    def __init__(
        self,
        library: ctypes.CDLL,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        prefix: str = "net",
    ) -> None:
        super().__init__(file_contract, first_state)
        self._library = library  # kept as long as its function
        self._call = library[f"{prefix}_{file_contract.graph}"]
        self._call.restype = ctypes.c_int
        self._lock = Lock()  # of two threads that share a session the second one waits
        interface = file_contract.interface()
        names = {state.name for state in self.spec.states}
        after = {next_name(name) for name in names}
        self._given = {t.name: _array(t) for t in interface.inputs if t.name not in names}
        self._made = {t.name: _array(t) for t in interface.outputs if t.name not in after}
        memory, self._states = _structure([t for t in interface.inputs if t.name in names])
        self._kept = memory
        state = [ctypes.c_void_p(memory.ctypes.data)] if names else []
        self._arguments = (_pointers(self._given), *state, _pointers(self._made))

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``: out of the header, which is what a C program goes by."""
        own = _contract_of(path)
        text = _read(path, f"{own.graph}.h").decode("ascii", errors="replace")
        places: dict[str, dict[int, FileTensor]] = {"in": {}, "out": {}}
        for found in _TENSOR.finditer(text):
            sizes = tuple(int(size) for size in re.findall(r"=(\d+)", found["sizes"]))
            for place in found["places"].split(", "):
                way, number = place.split()
                state = way == "out" and "," in found["places"]
                name = next_name(found["name"]) if state else found["name"]
                places[way][int(number)] = FileTensor(name, found["dtype"], sizes)
        inputs, outputs = (
            tuple(tensors[at] for at in sorted(tensors)) for tensors in places.values()
        )
        return FileDescription(
            Interface(inputs, outputs), {METADATA_KEY: _contract_text(path)}, "C99"
        )

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> CompiledSession:
        """See ``Session.open``; a call takes one thread.

        Raises:
            ContractError: the C is not what its graph gives.
            UnavailableError: this machine has no compiler.
        """
        checked_threads(threads)
        library = build(checked_sources(path), find_compiler())
        return cls(library, file_contract, first_state, prefix=options_of(path).prefix)

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``; a right call goes straight over the memory, any other one is left
        to that, which runs it or says what is wrong with it.
        """
        dicts = isinstance(inputs, dict) and isinstance(state, dict)
        if dicts and not self.spec.once:
            with self._lock:
                right = _fill(self._given, inputs) and _fill(self._states, state)
                if right and not self._call(*self._arguments):
                    return _copied(self._made), _copied(self._states)
        return super().step(inputs, state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            for name, memory in (*self._given.items(), *self._states.items()):
                np.copyto(memory, feeds[name])
            code = self._call(*self._arguments)
            if code:
                raise ContractError(f"the C refuses the call, code {code}; see its header")
            after = {next_name(name): array for name, array in _copied(self._states).items()}
            return {**_copied(self._made), **after}


def _fill(memory: Mapping[str, np.ndarray], given: Arrays) -> bool:
    """Copy what is given to where it is read; return whether it is all that is wanted, and laid out
    like it.
    """
    for name, own in memory.items():
        array = given.get(name)
        if (
            not isinstance(array, np.ndarray)
            or array.dtype is not own.dtype
            or array.shape != own.shape
        ):
            return False
        own[...] = array
    return len(given) == len(memory)


def _copied(memory: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in memory.items()}


def checked_sources(path: Path) -> Mapping[str, bytes]:
    """Return the C of the folder at ``path``, generated again from the graph in it.

    Raises:
        ContractError: the folder is damaged, or holds another C than its graph gives.
        UnavailableError: what generates C is not installed.
    """
    own, graph, options = _contract_of(path), _read(path, GRAPH), options_of(path)
    generate = formats.resolve(GENERATOR, needed_for="reading c", extra=C.export_extra)
    files: dict[str, bytes] = generate(graph, own, options).files
    for name, content in files.items():
        if _read(path, name) != content:
            raise ContractError(
                f"{path / name} is not what this edgernn generates from the {GRAPH} beside it, and "
                "other C is not run; export it again, or use the edgernn that exported it"
            )
    return files


def options_of(path: Path) -> Any:
    """Return what the C of the folder was generated by, an ``export.to_c.options.Options``."""
    options = formats.resolve(CHOICES, needed_for="reading c", extra=C.export_extra)
    text = _read(path, OPTIONS, most=_MOST_OPTIONS_BYTES).decode("utf-8", errors="replace")
    return options.read(text)


def _contract_of(path: Path) -> FileContract:
    return FileContract.from_metadata({METADATA_KEY: _contract_text(path)}, source=str(path))


def _contract_text(path: Path) -> str:
    return _read(path, CONTRACT, most=_MOST_CONTRACT_BYTES).decode("utf-8", errors="replace")


def _read(path: Path, name: str, *, most: int | None = None) -> bytes:
    try:
        return storage.read_bytes(path / name, most=most)
    except OSError as error:
        raise ContractError(
            f"{path} is no folder of C, or is damaged: {name}: {storage.reason(error)}"
        ) from error


def _array(tensor: FileTensor) -> np.ndarray:
    return np.zeros(_shape(tensor), tensor.dtype)


def _shape(tensor: FileTensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.shape or () if isinstance(size, int))


def _structure(tensors: list[FileTensor]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the memory of a C structure of arrays, and its members by name."""
    fields = [(tensor.name, tensor.dtype, _shape(tensor)) for tensor in tensors]
    memory: Any = np.zeros(1, np.dtype(fields, align=True)) if fields else np.zeros(1)
    return memory, {tensor.name: memory[tensor.name][0] for tensor in tensors}


def _pointers(arrays: Mapping[str, np.ndarray]) -> ctypes.Array[ctypes.c_void_p]:
    """Return a C structure of pointers to ``arrays``."""
    made = (ctypes.c_void_p * max(len(arrays), 1))()
    for at, array in enumerate(arrays.values()):
        made[at] = array.ctypes.data
    return made
