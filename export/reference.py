"""The reference inside a bundle: a checkpoint where the model is rebuilt from one, the file that it
came as, else its graphs, traced.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgernn.bundle import REFERENCE
from edgernn.contract import FileContract
from edgernn.errors import ContractError
from edgernn.export.base import Exporter
from edgernn.export.judging import judge
from edgernn.export.source import Source
from edgernn.formats import OWN, TRACED, resolve
from edgernn.models import checkpoint


def write_reference(folder: Path, source: Source) -> None:
    """Write what judges the artifacts below ``folder/reference``.

    Raises:
        ContractError: the module cannot be traced, or its traced graph computes something else.
    """
    loaded, inside = source.loaded, folder / REFERENCE
    if loaded.model.rebuilt_from_config:
        checkpoint.save(replace(loaded, evaluation={}), inside)
        return
    if loaded.model.own_file is not None:
        from edgernn.export.own_file import write_own_file

        own = FileContract(contract=source.contract, decoding=source.decoding)
        write_own_file(inside / f"{own.graph}{OWN.suffix}", loaded.model, own)
        return
    for graph in source.contract.graphs:
        _write_traced(inside / f"{graph.name}{TRACED.suffix}", graph.name, source)


def _write_traced(path: Path, graph: str, source: Source) -> None:
    precision = TRACED.precisions[0]
    kind: type[Exporter] = resolve(
        TRACED.exporter or "", needed_for="tracing the reference", extra=TRACED.export_extra
    )
    written = kind().export(
        source.loaded.model, path, precision=precision, decoding=source.decoding, graph=graph
    )
    file_contract = FileContract(
        contract=source.contract,
        graph=graph,
        narrowing=written.narrowing,
        decoding=source.decoding,
    )
    try:
        judge(path, file_contract, row=TRACED, precision=precision, source=source)
    except ContractError as error:
        raise ContractError(
            f"the traced {graph} is no copy of the module ({error}): it may branch on data, keep "
            "something between calls or draw random numbers; write it with tensor operations alone"
        ) from error
