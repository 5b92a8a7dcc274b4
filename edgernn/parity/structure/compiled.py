"""The structure of a folder of C: its text is what the graph beside it gives, and that graph is
followed as that of an ONNX file.
"""

from __future__ import annotations

from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.parity.structure.onnx_rules import follow
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.stored_onnx import weight_table
from edgernn.sessions.compiled import GRAPH, checked_sources
from edgernn.sessions.ort.guard import refuse_foreign


class CompiledStructure(StructureReader):
    """Reads folders of C; compiles nothing."""

    def __init__(self, path: Path) -> None:
        self._sources = checked_sources(path)
        self._graph = refuse_foreign(path / GRAPH).graph

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        count = follow(self._graph, file_contract.interface())
        return (
            f"{len(self._sources)} files as they are generated from a graph of {count} operators, "
            "none of which branches, draws or keeps anything"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``: what the graph holds, of which the weights are made."""
        return weight_table(self._graph)
