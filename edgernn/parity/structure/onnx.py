"""The reader of the structure of ONNX files; see ``structure``."""

from __future__ import annotations

from hashlib import sha256
from math import prod
from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.contract.in_graph import DECODERS, file_interface
from edgernn.parity.structure.onnx_decoders import follow_decoder
from edgernn.parity.structure.onnx_rules import follow
from edgernn.parity.structure.portable import portable_problems
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.stored_onnx import weight_table
from edgernn.sessions.ort.guard import refuse_foreign

_FEWEST = 32  # values of a constant that is a weight; shapes and places have fewer


class OnnxStructure(StructureReader):
    """Reads ``.onnx`` files; needs neither onnx nor onnxruntime."""

    tells_bytes = True

    def __init__(self, path: Path) -> None:
        self._model = refuse_foreign(path)
        self._graph = self._model.graph

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        graph, interface = self._graph, file_interface(file_contract)
        if file_contract.graph in DECODERS:
            count = follow_decoder(graph, interface)
            return (
                f"{count} operators: no size decides, loops count sizes and settings, none draws "
                "or keeps anything"
            )
        return (
            f"{follow(graph, interface)} operators, the same at every size: none branches, draws "
            "or keeps anything"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``."""
        return weight_table(self._graph)

    def portable_problems(self) -> list[str]:
        """See ``StructureReader.portable_problems``."""
        return portable_problems(self._model)

    def digests(self) -> dict[str, str]:
        """See ``StructureReader.digests``."""
        return {
            name: sha256(
                repr((tensor.dtype, tensor.shape)).encode() + tensor.values().tobytes()
            ).hexdigest()
            for graph in self._graph.all_graphs()
            for name, tensor in graph.constants.items()
            if prod(tensor.shape) >= _FEWEST
        }
