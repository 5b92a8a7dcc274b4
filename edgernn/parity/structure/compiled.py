"""The structure of a folder of C: its text is what the graph beside it gives, and that graph is
followed as that of an ONNX file.

Of a text that is not, nothing is proved. Where it names another generator than this edgernn's,
another version of edgernn may have written it; where it names this one, it was changed.
"""

from __future__ import annotations

from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.formats.c import ACTIVATIONS
from edgernn.parity.structure.onnx_rules import follow
from edgernn.parity.structure.places import fixed_lengths
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.sizes import TextError
from edgernn.parity.structure.stored_onnx import weight_table
from edgernn.sessions.c_folder import GRAPH, difference, generated_sources, options_of
from edgernn.sessions.ort.guard import refuse_foreign


class CompiledStructure(StructureReader):
    """Reads folders of C; compiles nothing."""

    def __init__(self, path: Path) -> None:
        self._sources = generated_sources(path)
        self._other = difference(path, self._sources)
        self._activations = options_of(path).activations
        self._graph = refuse_foreign(path / GRAPH).graph

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        count = follow(self._graph, file_contract.interface(), fixed_lengths(file_contract))
        if self._other is not None:
            raise TextError(self._other.words, claimed=self._other.claimed)
        return (
            f"{len(self._sources)} files as they are generated from a graph of {count} operators, "
            "none of which branches, draws or keeps anything"
        )

    def label_problems(self, precision: str) -> list[str]:
        """See ``StructureReader.label_problems``: the bits of activations."""
        wanted = ACTIVATIONS.get(precision, self._activations)
        if wanted == self._activations:
            return []
        return [
            f"the options say activations of {self._activations} bits, the precision is "
            f"{precision}, which has {wanted}"
        ]

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``: what the graph holds, of which the weights are made."""
        return weight_table(self._graph, activations=self._activations)
