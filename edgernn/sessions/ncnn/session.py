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

from edgernn.contract import FileContract
from edgernn.contract.interface import FileDescription
from edgernn.errors import ContractError
from edgernn.sessions.base import Arrays, Session, checked_threads
from edgernn.sessions.ncnn.folder import NcnnGraph, describe, graph_of, sizes_of, squeezed

if TYPE_CHECKING:
    from typing import Self


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
        interface = file_contract.interface()
        ids = graph.ids
        self._given = []
        for tensor in interface.inputs:
            mat, view = _memory(graph.dims[tensor.name])
            own = view.view(np.int32) if tensor.name in ids else view
            self._given.append((tensor.name, mat, own, own.shape))
        self._made = [(t.name, sizes_of(t)) for t in interface.outputs]

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
        """See ``Session.open``."""
        count = checked_threads(threads)
        graph = graph_of(path)
        _refuse_other(graph, file_contract, path)
        net = ncnn.Net()
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

    def _run(self, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        made: dict[str, np.ndarray] = {}
        with self._lock:
            extractor = self._net.create_extractor()
            for name, mat, own, dims in self._given:
                own[...] = feeds[name].reshape(dims)
                extractor.input(name, mat)
            for name, shape in self._made:
                code, found = extractor.extract(name)
                if code:
                    raise ContractError(f"ncnn cannot compute {name}, code {code}; export it again")
                made[name] = np.array(found).reshape(shape)
        return made


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
        own = {name: graph.dims[name] for name in found}
        promised = {t.name: squeezed(sizes_of(t)) for t in wanted}
        if own != promised:
            raise ContractError(f"{path} {kind} {own}, expected {promised}; export it again")
