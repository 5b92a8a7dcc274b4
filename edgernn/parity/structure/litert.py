"""The structure of a ``.tflite`` file: its one graph, operator by operator; nothing of it runs.

Every size of such a graph is fixed, so no operator can depend on one. What is left to prove: it
neither branches nor repeats, calls no other graph, draws no random numbers, has only operators that
compute an output from their inputs alone, and keeps nothing between calls. LiteRT's fused recurrent
operators keep their state in the runtime, where neither reset nor fork reaches it: each is refused.
"""

from __future__ import annotations

from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.shape_rules import unknown
from edgernn.parity.structure.sizes import SizeError
from edgernn.parity.structure.stored_litert import weight_table
from edgernn.sessions.litert.guard import problem
from edgernn.sessions.litert.model_file import read
from edgernn.sessions.litert.operators import PLAIN, REFUSED


class LiteRTStructure(StructureReader):
    """Reads ``.tflite`` files."""

    tells_bytes = True

    def __init__(self, path: Path) -> None:
        self._model = read(path)

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        for operator in self._model.operators:
            what = f"{operator.kind} ({self._model.tensors[operator.outputs[0]].name})"
            if operator.kind not in PLAIN and operator.kind not in REFUSED:
                raise unknown(what)
        if (found := problem(self._model)) is not None:
            raise SizeError(found)
        return (
            f"{len(self._model.operators)} operators of fixed sizes, none branches or draws; "
            "keeps nothing"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``."""
        return weight_table(self._model)
