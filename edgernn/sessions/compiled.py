"""C: a folder of C99 compiled by this machine's own compiler, and called without a copy of the
weights.

C is a program, so nobody's C is compiled for being in a bundle. The folder holds the graph that its
C was generated from; the C is generated again, and that is compiled. Where the two are not the
same, that is told, and the text in the folder is compiled where the user trusts it.
Neither needs more than numpy and a compiler.
"""

from __future__ import annotations

import ctypes
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.contract import FileContract, next_name
from edgernn.contract.file import METADATA_KEY
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError, EdgernnWarning, UnavailableError, one_line
from edgernn.sessions.base import Arrays, Session, State, checked_threads
from edgernn.sessions.c_folder import (
    contract_of,
    contract_text,
    difference,
    generated_sources,
    options_of,
    own_sources,
    read,
)
from edgernn.sessions.compiler import build, find_compiler, load
from edgernn.sessions.lent import Lent, Place
from edgernn.sessions.packed_library import packed_library

if TYPE_CHECKING:
    from typing import Self

TRUST = "with trust (--trust) the bundle's own is compiled"
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
        self._call = _function(library, f"{prefix}_{file_contract.graph}")
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
        pointers = _pointers(self._given)
        self._arguments = (pointers, *state, _pointers(self._made))
        self._inputs = Lent(self._given, pointers)
        self._filled = [(name, own, own.dtype, own.shape) for name, own in self._states.items()]
        self._is_step = not self.spec.once

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``: out of the header, which is what a C program goes by."""
        own = contract_of(path)
        text = read(path, f"{own.graph}.h").decode("ascii", errors="replace")
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
            Interface(inputs, outputs), {METADATA_KEY: contract_text(path)}, "C99"
        )

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> Self:
        """See ``Session.open``; a call takes one thread. Warns where the C that lies there is not
        what is run.

        Raises:
            ContractError: the folder is damaged.
            UnavailableError: this machine has no compiler.
        """
        checked_threads(threads)
        library = build(cls._sources(path), find_compiler())
        return cls(library, file_contract, first_state, prefix=options_of(path).prefix)

    @classmethod
    def _sources(cls, path: Path) -> Mapping[str, bytes]:
        """Return what is compiled."""
        files = generated_sources(path)
        if (found := difference(path, files)) is not None:
            told = f"{path}: {found.words}; what runs is generated afresh; {TRUST}"
            warnings.warn(one_line(told), EdgernnWarning, stacklevel=3)
        return files

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``; a right call goes straight over the memory, any other one is left
        to that, which runs it or says what is wrong with it.
        """
        if self._is_step and isinstance(inputs, dict) and isinstance(state, dict):
            with self._lock:
                right = self._inputs.take(inputs) and _fill(self._filled, state)
                if right and not self._call(*self._arguments):
                    return _copied(self._made), _copied(self._states)
        return super().step(inputs, state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            self._inputs.give_back()
            for name, memory in (*self._given.items(), *self._states.items()):
                np.copyto(memory, feeds[name])
            code = self._call(*self._arguments)
            if code:
                raise ContractError(f"the C refuses the call, code {code}; see its header")
            after = {next_name(name): array for name, array in _copied(self._states).items()}
            return {**_copied(self._made), **after}


class TrustedSession(CompiledSession):
    """A session of the C that lies in the folder, whoever wrote it: on the user's word."""

    runtime = "C, the bundle's own text"

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> TrustedSession:
        """See ``CompiledSession.open``; where nothing compiles, a library that the bundle has for
        such a machine as this is loaded.
        """
        try:
            return super().open(path, file_contract, first_state, threads=threads)
        except UnavailableError:
            if packed_library(path) is None:
                raise
            return PackedSession.open(path, file_contract, first_state, threads=threads)

    @classmethod
    def _sources(cls, path: Path) -> Mapping[str, bytes]:
        return own_sources(path)


class PackedSession(TrustedSession):
    """A session of a library that lies in the bundle."""

    runtime = "C, a library of the bundle"

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> PackedSession:
        """See ``Session.open``.

        Raises:
            UnavailableError: the bundle has no library for this machine, or it does not load.
        """
        checked_threads(threads)
        packed = packed_library(path)
        if packed is None:
            raise UnavailableError(f"{path} has no library for this machine beside it")
        library, prefix = load(packed), options_of(path).prefix
        return cls(library, file_contract, first_state, prefix=prefix)


def _function(library: ctypes.CDLL, name: str) -> Any:
    try:
        return library[name]
    except AttributeError as error:
        raise ContractError(
            f"the C has no function {name}, which its options and contract name; export it again"
        ) from error


def _fill(memory: Sequence[Place], given: Arrays) -> bool:
    """Copy what is given to where it is read; return whether it is all that is wanted, and laid out
    like it.
    """
    for name, own, dtype, shape in memory:
        array = given.get(name)
        if type(array) is not np.ndarray or array.dtype is not dtype or array.shape != shape:
            return False
        own[...] = array
    return len(given) == len(memory)


def _copied(memory: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in memory.items()}


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
