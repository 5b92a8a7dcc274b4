"""One artifact of a bundle: write the file, judge it, and record what is to be known of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgernn import formats
from edgernn.bundle import digest
from edgernn.bundle.records import Artifact
from edgernn.contract import FileContract, GraphWord
from edgernn.contract.in_graph import DECODERS
from edgernn.errors import ContractError
from edgernn.export.base import Exporter, Written
from edgernn.export.causes import cause_of
from edgernn.export.judging import Judged, judge
from edgernn.export.rounding.compression import Compression
from edgernn.export.source import Source
from edgernn.models.module import ModuleModel


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
        + (f", {job.graph}" if len(source.contract.graphs) > 1 or job.graph in DECODERS else "")
    )
    kind: type[Exporter] = formats.resolve(
        row.exporter or "", needed_for=f"exporting {row.name}", extra=row.export_extra
    )
    written, judged = _first_that_passes(kind, path, job, source)
    if written.told:
        source.tell(f"{job.path}: {written.told}")
    for note in written.notes:
        source.tell(f"warning: {note}")
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
        parity=judged.parity,
        weights=written.weights,
        loss=judged.loss,
        output_loss=judged.output_loss,
        tolerance=limit.rollout,
        forced=limit.forced,
        portable=written.portable,
    )


def _first_that_passes(
    kind: type[Exporter], path: Path, job: Job, source: Source
) -> tuple[Written, Judged]:
    """Write the file in the first of its exporter's ways that passes; raise the ContractError of
    the first way where none does.
    """
    compression = _compression(kind, job, source)
    first: ContractError | None = None
    for way in kind.ways:
        exporter = kind(
            compression,
            way,
            prefix=source.options.prefix,
            streams=source.options.streams,
            operators=source.options.operators,
            axes=source.options.axes,
        )
        try:
            made = _in_one_way(exporter, path, job, source)
        except ContractError as error:
            first = first or error
            if _does_more_than_compute(source):
                break  # another way would only see it at another moment
            continue
        if first is not None:
            source.tell(f"{job.row.name} was {way}, since the first way failed: {first}")
        return made
    assert first is not None
    raise first


def _does_more_than_compute(source: Source) -> bool:
    model = source.loaded.model
    return isinstance(model, ModuleModel) and bool(cause_of(model))


def _in_one_way(exporter: Exporter, path: Path, job: Job, source: Source) -> tuple[Written, Judged]:
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
    judged = judge(path, file_contract, row=job.row, precision=job.precision, source=source)
    return written, judged


def _compression(kind: type[Exporter], job: Job, source: Source) -> Compression:
    recipe = kind.recipe(source, job.precision)
    if recipe is not None:
        return Compression(recipe=recipe)
    exact = job.row.promise(job.precision).exact
    return Compression(block_size=source.options.block_size, feeds=None if exact else source.feeds)


def _refuse_unreached(job: Job, written: Written, *, allowed: bool) -> None:
    """Raise ContractError where integers were asked for and a matrix stayed float."""
    integers = job.row.promise(job.precision).integers
    floats = [w for w in written.weights if len(w.shape) > 1 and w.is_float]
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
