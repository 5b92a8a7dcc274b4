"""The reader of the structure of TorchScript files; see ``structure``."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path

import torch

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.torchscript_rules import follow
from edgernn.sessions.torchscript.reading import all_nodes, method_graphs
from edgernn.sessions.torchscript.session import load_unread

_FLOAT_BYTES = 4


class TorchScriptStructure(StructureReader):
    """Reads ``.pt`` files; they are loaded, which runs nothing of theirs."""

    def __init__(self, path: Path) -> None:
        self._module, _ = load_unread(path)
        self._graph = next(
            graph for name, graph in method_graphs(self._module) if name == "forward"
        )

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        count = follow(self._module, self._graph, file_contract.interface())
        return f"{count} operators, the same at every size: none branches, draws or keeps anything"

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``; matrices are the parameters, buffers and constants of two
        axes and more.
        """
        return tuple(_weight(name, tensor) for name, tensor in self._tensors() if tensor.ndim > 1)

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield from self._module.named_parameters()
        yield from self._module.named_buffers()
        for node in all_nodes(self._graph):
            value = (
                next(iter(node.outputs())).toIValue() if node.kind() == "prim::Constant" else None
            )
            if isinstance(value, torch.Tensor):
                yield "constant", value


def _weight(name: str, tensor: torch.Tensor) -> StoredWeight:
    size = tensor.numel() * tensor.element_size()
    dtype = str(tensor.dtype).removeprefix("torch.")
    return StoredWeight(
        name, tuple(tensor.shape), dtype, prod(tensor.shape) * _FLOAT_BYTES, size, size
    )
