"""A session of ncnn: the folder is checked before the runtime sees it, and a step is one extractor.

What goes in is copied to memory that ncnn allocated and knows to be shared: of memory that it only
borrows, as an array's, a layer that computes in place would write over the caller's.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import ncnn
import numpy as np
from ncnn import Net  # a folder of that name has none

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, Session, State, checked_threads
from edgernn.sessions.ncnn.folder import NcnnGraph, describe, graph_of, sizes_of, squeezed

if TYPE_CHECKING:
    from typing import Self

# of a tensor that goes in: its name, its blob and that as an array, and what a caller gives: the
# dtype, the shape, and the number that ids are below
_Given = tuple[str, Any, np.ndarray, np.dtype, tuple[int, ...], int | None]


class NcnnSession(Session):
    """A session of one graph; two threads that share it wait for one another."""

    runtime = "ncnn"

    def __init__(
        self,
        net: Any,
        graph: NcnnGraph,
        file_contract: FileContract,
        first_state: Arrays | None = None,
    ) -> None:
        super().__init__(file_contract, first_state)
        self._net, self._lock = net, Lock()
        interface, ids = file_contract.interface(), graph.ids
        self._given: list[_Given] = []
        for spec, tensor in zip(self.spec.inputs, interface.inputs, strict=True):
            mat, view = _memory(graph.dims[tensor.name])
            own = (view.view(np.int32) if tensor.name in ids else view).reshape(sizes_of(tensor))
            below = None if spec.below is None else self.contract.sizes[spec.below]
            self._given.append((tensor.name, mat, own, np.dtype(spec.dtype), own.shape, below))
        self._made = [(t.name, sizes_of(t)) for t in interface.outputs]
        states = {state.name for state in self.spec.states}
        self._inputs = [given for given in self._given if given[0] not in states]
        self._states = [given for given in self._given if given[0] in states]
        made = dict(self._made)
        self._read_sizes = [(t.name, t.name, made[t.name]) for t in self.spec.read_outputs]
        self._next_sizes = [(n, own, made[own]) for n, own in self._next.items() if own in made]
        # what comes out is float32, and is what the contract says that it is
        self._is_step = not self.spec.once and all(d == np.float32 for d in self._dtypes.values())

    @classmethod
    def describe(cls, path: Path) -> FileDescription:
        """See ``Session.describe``; needs no runtime."""
        return describe(path)

    @classmethod
    def open(
        cls,
        path: Path,
        file_contract: FileContract,
        first_state: Arrays | None = None,
        *,
        threads: int | None = None,
    ) -> Self:
        """See ``Session.open``; a step takes one thread unless told otherwise: it is over before
        another has begun, and on a busy machine threads wait long for one another.
        """
        count = checked_threads(threads) or (None if file_contract.spec.once else 1)
        graph = graph_of(path)
        _refuse_other(graph, file_contract, path)
        net = Net()
        option = net.opt
        option.use_vulkan_compute = False
        option.lightmode = True
        if count is not None:
            option.num_threads = count
        word = file_contract.graph
        text, weights = path / f"{word}.param", path / f"{word}.bin"
        if net.load_param(str(text)) or net.load_model(str(weights)):
            raise ContractError(f"{path} is not a network that ncnn can open; export it again")
        return cls(net, graph, file_contract, first_state)

    def step(self, inputs: Arrays, state: Arrays) -> tuple[dict[str, np.ndarray], State]:
        """See ``Session.step``; a right call goes straight to the runtime's memory, any other one
        is left to that, which runs it or says what is wrong with it.
        """
        if self._is_step and isinstance(inputs, dict) and isinstance(state, dict):
            with self._lock:
                if _fill(self._inputs, inputs) and _fill(self._states, state):
                    extract = self._started().extract
                    return (
                        {name: _taken(extract, own, size) for name, own, size in self._read_sizes},
                        {name: _taken(extract, own, size) for name, own, size in self._next_sizes},
                    )
        return super().step(inputs, state)

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._lock:
            for name, _, own, *_ in self._given:
                own[...] = feeds[name]
            extract = self._started().extract
            return {name: _taken(extract, name, size) for name, size in self._made}

    def _started(self) -> Any:
        """Return an extractor that has been given what is in its memory."""
        extractor = self._net.create_extractor()
        for name, mat, *_ in self._given:
            extractor.input(name, mat)
        return extractor


def _fill(memory: list[_Given], given: Arrays) -> bool:
    """Copy what is given to where it is read; return whether it is all that is wanted, laid out
    like it, and ids in their range.
    """
    for name, _, own, dtype, shape, below in memory:
        array = given.get(name)
        if type(array) is not np.ndarray or array.dtype is not dtype or array.shape != shape:
            return False
        if below is not None and not (array.size == 1 and 0 <= array.item() < below):
            return False
        own[...] = array
    return len(given) == len(memory)


def _taken(extract: Any, name: str, size: tuple[int, ...]) -> np.ndarray:
    """Return a copy of what is computed, in its whole shape."""
    code, found = extract(name)
    if code:
        raise ContractError(f"ncnn cannot compute {name}, code {code}; export it again")
    return np.array(found).reshape(size)


def _memory(dims: tuple[int, ...]) -> tuple[Any, np.ndarray]:
    """Return a blob that ncnn allocated, and its values as an array."""
    mat = ncnn.Mat(*reversed(dims))
    mat.fill(0.0)
    return mat, np.array(mat, copy=False)


def _refuse_other(graph: NcnnGraph, file_contract: FileContract, path: Path) -> None:
    """Raise ContractError where the graph has other blobs than the contract has tensors."""
    interface = file_contract.interface()
    for kind, found, wanted in (
        ("takes", graph.inputs, interface.inputs),
        ("makes", graph.outputs, interface.outputs),
    ):
        if any(not isinstance(size, int) for tensor in wanted for size in tensor.shape or ()):
            raise ContractError(f"{path} {kind} fixed sizes, and its contract says open ones")
        own = {name: graph.dims[name] for name in found}
        promised = {t.name: squeezed(sizes_of(t)) for t in wanted}
        if own != promised:
            raise ContractError(f"{path} {kind} {own}, expected {promised}; export it again")
