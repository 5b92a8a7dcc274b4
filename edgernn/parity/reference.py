"""The reference of a model that no configuration rebuilds: its graphs in the bundle, traced, or as
the file that it came as.
"""

from __future__ import annotations

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.contract import STEP, FileContract
from edgernn.formats import Format
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model, model_of
from edgernn.sessions.opening import read_first_state, session_class

_WORDS = {
    formats.TRACED: "the traced reference from the bundle",
    formats.OWN: "the file that the model came as, from the bundle",
}


def format_of_reference(bundle: Bundle) -> Format | None:
    """Return the format of the graphs that are the bundle's reference; None where they are not."""
    inner = bundle.manifest.reference
    rows = (row for row in _WORDS if _file(inner or "", STEP, row) in bundle.manifest.files)
    return None if inner is None else next(rows, None)


def words_of_reference(row: Format) -> str:
    """Return what the reference is, in words."""
    return _WORDS[row]


def open_graph_reference(bundle: Bundle, row: Format) -> Model:
    """Open the graphs.

    Raises:
        ContractError: a file is damaged or does more than compute.
        UnavailableError: what runs them is not installed.
    """
    manifest = bundle.manifest
    kind: type[Session] = session_class(row.name)
    inner = manifest.initial_state
    first = read_first_state(bundle.path(inner), manifest.contract) if inner else None

    def session_of(graph: str) -> Session:
        path = bundle.path(_file(manifest.reference or "", graph, row))
        metadata = kind.describe(path).metadata
        own = FileContract.from_metadata(metadata, source=str(path))
        return kind.open(path, own, first)

    return model_of(manifest.contract, session_of)


def _file(folder: str, graph: str, row: Format) -> str:
    return f"{folder}/{graph}{row.suffix}"
