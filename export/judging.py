"""The one door for judging in export: a file that was written is opened, rolled out against the
reference, and read held-out data beside it. Nothing is packed that did not come through here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgernn import formats
from edgernn.bundle.records import LossRecord, OutputLossRecord, ParityRecord
from edgernn.contract import FileContract
from edgernn.errors import ContractError, UnavailableError
from edgernn.export.rounding.compression import Budget
from edgernn.export.rounding.loss import measure_loss, measure_output_loss, refuse_loss
from edgernn.export.source import Source
from edgernn.formats import Format
from edgernn.formats.promise import Tolerance
from edgernn.parity.shapes import unforeseen_seed
from edgernn.parity.verify import measure
from edgernn.sessions.base import Session
from edgernn.sessions.one_row import one_row


@dataclass(frozen=True)
class Judged:
    """What is recorded of a file; nothing of one that no reference computes, or whose runtime is
    not here.
    """

    parity: ParityRecord | None = None
    loss: LossRecord | None = None
    output_loss: OutputLossRecord | None = None


def judge(
    path: Path, file_contract: FileContract, *, row: Format, precision: str, source: Source
) -> Judged:
    """Judge the file at ``path`` by what ``row`` promises for ``precision``.

    Raises:
        ContractError: it is further from the reference, or loses more, than is promised.
    """
    reference = source.reference.session(file_contract.graph)
    if reference is None:
        return Judged()
    candidate = open_written(path, file_contract, row=row, source=source)
    if candidate is None:
        return Judged()
    name, limit = f"{row.name} {precision}", row.promise(precision)
    loss = output_loss = None
    if not file_contract.spec.once and not limit.exact:
        single = one_row(candidate)
        loss = loss_of(single, source, limit=limit)
        if loss is not None:
            refuse_loss(loss, name, limit=limit)
        output_loss = measure_output_loss(
            source.loaded, source.reference, single, name=name, limit=limit
        )
    parity = _parity(reference, candidate, name, limit=limit, steps=source.steps)
    return Judged(parity, loss, output_loss)


def open_written(
    path: Path, file_contract: FileContract, *, row: Format, source: Source
) -> Session | None:
    """Open a file of ``row`` as it was written, or return None where its runtime is not here."""
    kind: type[Session] = formats.resolve(
        row.trusted or row.session, needed_for=f"checking {row.name}", extra=row.export_extra
    )
    try:
        return kind.open(path, file_contract, source.reference.step.stored_state())
    except UnavailableError:
        return None


def loss_of(
    candidate: Session, source: Source, *, limit: Tolerance, budget: Budget | None = None
) -> LossRecord | None:
    """Return what a step file loses on held-out data; None where there is too little to read.

    ``budget`` is what is held to it; by default what the user allows.
    """
    return measure_loss(
        source.loaded,
        source.reference,
        candidate,
        budget=source.options.budget if budget is None else budget,
        limit=limit,
    )


def _parity(
    reference: Session, candidate: Session, name: str, *, limit: Tolerance, steps: int
) -> ParityRecord:
    """Roll the file out; raise ContractError if it is out of tolerance."""
    record = measure(reference, candidate, limit=limit, steps=steps, seed=unforeseen_seed())
    if not math.isfinite(record.worst):
        raise ContractError(
            f"{name} or its reference gives numbers that are not finite in {record.tensor}; "
            "nothing was written. Look for NaN in the weights, or for a state that overflows"
        )
    if not record.worst <= record.tolerance:
        raise ContractError(
            f"{name} is {record.worst:.1e} from the reference in {record.tensor} over "
            f"{record.steps} steps, tolerance {record.tolerance:.0e} (shapes drawn by seed "
            f"{record.seed}); nothing was written"
        )
    return record
