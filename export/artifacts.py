"""One artifact of a bundle: write the file, judge it, and record what is to be known of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgernn import formats
from edgernn.bundle import digest
from edgernn.bundle.manifest import Artifact, LossRecord, ParityRecord
from edgernn.contract import STEP, FileContract, GraphWord
from edgernn.contract.in_graph import DECODERS
from edgernn.errors import ContractError, UnavailableError
from edgernn.export.base import Exporter, Written
from edgernn.export.rounding.compression import Compression
from edgernn.export.rounding.loss import measure_loss, refuse_loss
from edgernn.export.source import Source
from edgernn.parity.shapes import unforeseen_seed
from edgernn.parity.verify import measure
from edgernn.sessions.base import Session


@dataclass(frozen=True)
class Job:
    """One artifact to write."""

    row: formats.Format
    precision: str
    graph: GraphWord

    @property
    def path(self) -> str:
        """The artifact's place in the bundle."""
        return self.row.path(self.precision, self.graph)


def write_artifact(folder: Path, job: Job, source: Source) -> Artifact:
    """Write the file of ``job`` below ``folder``.

    Raises:
        ContractError: it does not keep the contract, its tolerance or the largest loss; or a
            precision was not reached.
    """
    row, path = job.row, folder / job.path
    source.tell(
        f"exporting {row.name} {job.precision}"
        + (f", {job.graph}" if len(source.references) > 1 or job.graph in DECODERS else "")
    )
    reference = source.references.get(job.graph)
    kind: type[Exporter] = formats.resolve(
        row.exporter or "", needed_for=f"exporting {row.name}", extra=row.export_extra
    )
    exporter = kind(_compression(kind, job, source))
    written = exporter.export(
        source.loaded.model,
        path,
        precision=job.precision,
        decoding=source.decoding,
        graph=job.graph,
    )
    _refuse_unreached(job, written, allowed=source.options.allow_float)
    file_contract = FileContract(
        contract=source.contract,
        graph=job.graph,
        narrowing=written.narrowing,
        decoding=source.decoding,
    )
    candidate = None if reference is None else _candidate(path, job, reference, file_contract)
    loss = None if candidate is None else _loss(job, source, candidate)
    found = digest(path)
    limit = row.promise(job.precision)
    return Artifact(
        path=job.path,
        format=row.name,
        precision=job.precision,
        graph=job.graph,
        bytes=found.bytes,
        sha256=found.sha256,
        target=written.target,
        exporter=written.exporter,
        requires=written.requires,
        narrowing=written.narrowing,
        parity=None
        if candidate is None or reference is None
        else _parity(job, reference, candidate, steps=source.steps),
        weights=written.weights,
        loss=loss,
        tolerance=limit.rollout,
        forced=limit.forced,
    )


def _compression(kind: type[Exporter], job: Job, source: Source) -> Compression:
    recipe = kind.recipe(source, job.precision)
    if recipe is not None:
        return Compression(recipe=recipe)
    exact = job.row.promise(job.precision).exact
    return Compression(block_size=source.options.block_size, feeds=None if exact else source.feeds)


def _refuse_unreached(job: Job, written: Written, *, allowed: bool) -> None:
    """Raise ContractError where integers were asked for and a matrix stayed float."""
    integers = job.row.promise(job.precision).integers
    floats = [w for w in written.weights if len(w.shape) > 1 and w.dtype.startswith("float")]
    if integers and floats and not allowed:
        names = ", ".join(
            f"{weight.name} ({'recurrent, ' if weight.recurrent else ''}{weight.dtype})"
            for weight in floats
        )
        raise ContractError(
            f"{job.row.name} {job.precision} was asked for, and these weights stayed float: "
            f"{names}; nothing was written. "
            "Allow it with --allow-float, or choose another precision"
        )


def _candidate(
    path: Path, job: Job, reference: Session, file_contract: FileContract
) -> Session | None:
    """Open the file that was written, or return None where its runtime is not here."""
    row = job.row
    kind: type[Session] = formats.resolve(
        row.session, needed_for=f"checking {row.name}", extra=row.export_extra
    )
    first = reference.initial_state(1) if reference.contract.starting("stored") else None
    try:
        return kind.open(path, file_contract, first)
    except UnavailableError:
        return None


def _loss(job: Job, source: Source, candidate: Session) -> LossRecord | None:
    limit = job.row.promise(job.precision)
    if job.graph != STEP or limit.exact:
        return None
    loss = measure_loss(
        source.loaded, source.references, candidate, budget=source.options.budget, limit=limit
    )
    if loss is not None:
        refuse_loss(loss, f"{job.row.name} {job.precision}", limit=limit)
    return loss


def _parity(job: Job, reference: Session, candidate: Session, *, steps: int) -> ParityRecord:
    """Roll the artifact out; raise ContractError if it is out of tolerance."""
    row = job.row
    limit = row.promise(job.precision)
    record = measure(reference, candidate, limit=limit, steps=steps, seed=unforeseen_seed())
    if not math.isfinite(record.worst):
        raise ContractError(
            f"{row.name} {job.precision} or its reference gives numbers that are not finite in "
            f"{record.tensor}; "
            "nothing was written. Look for NaN in the weights, or for a state that overflows"
        )
    if not record.worst <= record.tolerance:
        raise ContractError(
            f"{row.name} {job.precision} is {record.worst:.1e} from the reference in "
            f"{record.tensor} over {record.steps} "
            f"steps, tolerance {record.tolerance:.0e} (shapes drawn by seed {record.seed}); "
            "nothing was written"
        )
    return record
