"""The structure of a folder of ncnn: its graph followed layer by layer; nothing of it runs."""

from __future__ import annotations

from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.parity.structure.reading import StructureReader
from edgernn.sessions.ncnn.folder import graph_of
from edgernn.sessions.ncnn.weights import weight_table


class NcnnStructure(StructureReader):
    """Reads folders of ncnn; needs no ncnn."""

    tells_bytes = True

    def __init__(self, path: Path) -> None:
        self._graph = graph_of(path)

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``: what is opened at all has only layers of fixed sizes that
        neither branch nor draw nor keep anything.
        """
        return (
            f"{len(self._graph.layers)} layers of fixed sizes, none of which branches, draws or "
            "keeps anything"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``."""
        return weight_table(self._graph.weights)
