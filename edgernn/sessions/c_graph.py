"""The graph that C was generated from, in onnxruntime, its integers times floats: what the C is
held against, whose only difference is that activations are rounded.
"""

from __future__ import annotations

from pathlib import Path

from edgernn import storage
from edgernn.contract import FileContract
from edgernn.errors import UnavailableError
from edgernn.sessions.base import Arrays, Session
from edgernn.sessions.c_folder import GRAPH
from edgernn.sessions.ort.reading import parse_model
from edgernn.sessions.ort.step import OrtSession

_LEVEL = "accuracy_level"  # of MatMulNBits: 4 rounds activations to 8 bits, 0 leaves them
_FIELD = _LEVEL.encode() + b"\x18"  # the name, and the tag of the integer behind it


def open_graph(path: Path, file_contract: FileContract, first_state: Arrays | None) -> Session:
    """Open the graph in the folder of C at ``path``.

    Raises:
        ContractError: the graph is damaged, or does more than compute.
        UnavailableError: its products round activations, and that cannot be taken out.
    """
    content = storage.read_bytes(path / GRAPH).replace(_FIELD + b"\x04", _FIELD + b"\x00")
    nodes = parse_model(content, source=GRAPH).graph.nodes
    if any(node.attributes.get(_LEVEL) for node in nodes):
        raise UnavailableError(f"the products of {GRAPH} round activations in another way")
    with storage.scratch() as scratch:
        own = scratch / GRAPH
        own.write_bytes(content)
        return OrtSession.open(own, file_contract, first_state)
