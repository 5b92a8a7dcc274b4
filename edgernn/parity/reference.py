"""The reference of a model that no configuration rebuilds: its graphs, traced, in the bundle."""

from __future__ import annotations

from edgernn import formats
from edgernn.bundle import Bundle
from edgernn.contract import STEP, FileContract
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model, model_of
from edgernn.sessions.opening import read_first_state, session_class


def has_traced_reference(bundle: Bundle) -> bool:
    """Return whether the bundle's reference is a traced one."""
    inner = bundle.manifest.reference
    return inner is not None and _file(inner, STEP) in bundle.manifest.files


def open_traced_reference(bundle: Bundle) -> Model:
    """Open the traced graphs.

    Raises:
        ContractError: a file is damaged or does more than compute.
        UnavailableError: torch is not installed.
    """
    manifest = bundle.manifest
    kind: type[Session] = session_class(formats.TRACED.name)
    inner = manifest.initial_state
    first = read_first_state(bundle.path(inner), manifest.contract) if inner else None

    def session_of(graph: str) -> Session:
        path = bundle.path(_file(manifest.reference or "", graph))
        metadata = kind.describe(path).metadata
        own = FileContract.from_metadata(metadata, source=str(path))
        return kind.open(path, own, first)

    return model_of(manifest.contract, session_of)


def _file(folder: str, graph: str) -> str:
    return f"{folder}/{graph}{formats.TRACED.suffix}"
