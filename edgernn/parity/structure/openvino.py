"""The structure of a folder of OpenVINO: its network followed with batch and time as unknowns;
nothing of it runs.
"""

from __future__ import annotations

from pathlib import Path

from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import FileContract
from edgernn.parity.structure.openvino_rules import follow
from edgernn.parity.structure.reading import StructureReader
from edgernn.parity.structure.stored_openvino import weight_table
from edgernn.sessions.openvino.reading import read_network


class OpenVinoStructure(StructureReader):
    """Reads folders of OpenVINO; needs no package."""

    tells_bytes = True

    def __init__(self, path: Path) -> None:
        self._network = read_network(path)

    def prove(self, file_contract: FileContract) -> str:
        """See ``StructureReader.prove``."""
        interface = file_contract.interface()
        count = follow(self._network, interface)
        kept = ", ".join(tensor.name for tensor in interface.states)
        return (
            f"{count} operators, the same at every size: none branches or draws; "
            f"keeps {kept or 'nothing'}"
        )

    def stored(self) -> tuple[StoredWeight, ...]:
        """See ``StructureReader.stored``."""
        return weight_table(self._network)
