"""The reference inside a bundle: a checkpoint where the model is rebuilt from one, else its graphs,
traced.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgernn.bundle import REFERENCE
from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.export.source import Source
from edgernn.export.to_torchscript import TorchScriptExporter
from edgernn.formats import by_name
from edgernn.models import checkpoint
from edgernn.parity.shapes import unforeseen_seed
from edgernn.parity.verify import measure
from edgernn.sessions.torchscript.session import TorchScriptSession

_FORMAT, _PRECISION = "torchscript", "float32"


def write_reference(folder: Path, source: Source) -> None:
    """Write what judges the artifacts below ``folder/reference``.

    Raises:
        ContractError: the module cannot be traced, or its traced graph computes something else.
    """
    loaded, inside = source.loaded, folder / REFERENCE
    if loaded.model.rebuilt_from_config:
        checkpoint.save(replace(loaded, held_out={}), inside)
        return
    for graph in source.contract.graphs:
        _write_traced(inside / f"{graph.name}.pt", graph.name, source)


def _write_traced(path: Path, graph: str, source: Source) -> None:
    written = TorchScriptExporter().export(
        source.loaded.model, path, precision=_PRECISION, decoding=source.decoding, graph=graph
    )
    reference = source.references[graph]
    file_contract = FileContract(
        contract=source.contract,
        graph=graph,
        narrowing=written.narrowing,
        decoding=source.decoding,
    )
    first = reference.initial_state(1) if source.contract.starting("stored") else None
    traced = TorchScriptSession.open(path, file_contract, first)
    limit = by_name(_FORMAT).promise(_PRECISION)
    found = measure(reference, traced, limit=limit, steps=source.steps, seed=unforeseen_seed())
    if not found.worst <= found.tolerance:
        raise ContractError(
            f"the traced {graph} parts from the module by {found.worst:.1e} in {found.tensor}: it "
            "branches on data or draws random numbers; write it with tensor operations alone"
        )
