"""The structure of a folder of ncnn: its graph followed layer by layer; nothing of it runs."""

from __future__ import annotations

from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.formats import ncnn
from edgernn.parity.structure.reading import StructureReader
from edgernn.sessions.ncnn.fitting import EXACT, NO_HALF_FLOATS
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

    def label_problems(self, precision: str) -> list[str]:
        """See ``StructureReader.label_problems``: in float32 each layer with weights says that it
        takes no half floats, in which a runtime by default stores them, and calculates.
        """
        if not ncnn.NCNN.promise(precision).exact:
            return []
        layers = dict.fromkeys(held.layer.name for held in self._graph.weights if held.is_matrix)
        exact = {one.name for one in self._graph.layers if one.whole(EXACT) == NO_HALF_FLOATS}
        loose = [name for name in layers if name not in exact]
        if not loose:
            return []
        return [f"{', '.join(loose)} may be taken in half floats, the precision is {precision}"]

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``."""
        return weight_table(self._graph.weights)
