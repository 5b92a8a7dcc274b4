"""From a checkpoint folder to a bundle: write the artifacts, measure them, and pack what they need
to be driven.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import edgernn
from edgernn import bundle as bundles
from edgernn import formats, storage
from edgernn.bundle import Bundle
from edgernn.bundle.manifest import MANIFEST, Manifest
from edgernn.bundle.place import refuse_foreign
from edgernn.bundle.records import Provenance
from edgernn.contract import BATCH, STEP, Contract
from edgernn.contract.in_graph import decoder_of
from edgernn.errors import BundleError, CheckpointError, ContractError, UsageError
from edgernn.export.artifacts import Job, write_artifact
from edgernn.export.chosen import (
    Chosen,
    chosen_of,
    fitting,
    refuse_idle_operators,
    refuse_idle_prefix,
)
from edgernn.export.companions import tokenizer_entry, write_companions, write_text_files
from edgernn.export.held_out import fitting_rows
from edgernn.export.libraries import built, targets_of
from edgernn.export.source import ReducedOptions, Source, Tell
from edgernn.models import checkpoint
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.weights import not_finite
from edgernn.parity import golden
from edgernn.parity.subject import DEFAULT_STEPS
from edgernn.storage.identify import path_of


def export_bundle(
    source: Path | str | Checkpoint,
    out: Path | str,
    *,
    to: Iterable[str] | str | None = None,
    precision: Iterable[str] | str | None = None,
    target: Iterable[str] | str | None = None,
    in_graph: bool = False,
    decoding: bool = False,
    release: bool = False,
    steps: int = DEFAULT_STEPS,
    options: ReducedOptions | None = None,
    tell: Tell = lambda line: None,
) -> Bundle:
    """Export a checkpoint to a bundle, each artifact checked against the contract and rolled out
    against the reference.

    Args:
        source: a checkpoint folder, or a loaded checkpoint; it is not changed.
        out: a folder, or a file ending in ``.edgernn``; an older bundle there is replaced once the
            new one is whole.
        to: formats or families; default all that are written by default.
        precision: every precision to write in the formats that offer it; default each format's
            first.
        target: machines that C is also built for, as ``["host", "wasm"]``; the libraries go into
            the bundle.
        in_graph: also write files that decode in the graph, where a format has them: a text or a
            caption in one call.
        decoding: the older name of ``in_graph``.
        release: leave the reference weights and the held-out sample out.
        steps: length of the rollouts.
        options: how weights are rounded in reduced precisions, and how much that may lose.
        tell: hears, one line each, what is being done.

    Returns:
        The bundle, opened.

    Raises:
        UsageError: an unknown format, precision or target, or ``out`` holds something else; or no
            held-out row is as short as ``options.axes`` says.
        CheckpointError: the checkpoint is missing or damaged, or has a weight that is not finite.
        ContractError: an artifact does not keep the contract, its tolerance or the largest loss;
            nothing is written.
        UnavailableError: a package that a format or a target needs is not installed.
    """
    out = path_of(out)
    chosen = chosen_of(to, precision, tell)
    targets = targets_of(target, chosen)
    options = options or ReducedOptions()
    refuse_idle_prefix(options.prefix, chosen)
    refuse_idle_operators(options.operators, chosen, in_graph=in_graph or decoding)
    refuse_foreign(out)
    loaded = source if isinstance(source, Checkpoint) else checkpoint.load(source)
    _refuse_not_finite(loaded)
    contract = loaded.model.config.contract()
    chosen = fitting(chosen, contract, to, tell, axes=options.axes)
    _refuse_streams(options.streams, chosen, contract)
    jobs = _jobs(chosen, contract, in_graph=in_graph or decoding)
    held_out = fitting_rows(loaded.evaluation, contract, options.axes, tell)
    material = Source(
        replace(
            loaded, model=copy.deepcopy(loaded.model).cpu().float().eval(), evaluation=held_out
        ),
        options,
        steps,
        tell,
    )
    if out.suffix == bundles.SUFFIX:
        with storage.scratch() as scratch:
            folder = scratch / out.stem
            folder.mkdir()
            _fill(folder, material, jobs, targets, release=release)
            _read_again(folder)
            bundles.pack(folder, out)
    else:
        with storage.replacing(out) as folder:
            folder.mkdir()
            _fill(folder, material, jobs, targets, release=release)
            _read_again(folder)
    return Bundle.open(out)


def _refuse_streams(streams: int, chosen: Chosen, contract: Contract) -> None:
    """Raise UsageError for several streams where a format is chosen that takes any number, one
    alone, or fewer; or where the network has no rows.
    """
    if streams == 1:
        return
    most = {row.name: row.most_streams for row, _ in chosen}
    if others := sorted(name for name in most if most[name] == 1):
        several = sorted(row.name for row in formats.FORMATS.values() if row.most_streams > 1)
        raise UsageError(
            f"--streams is of {', '.join(several)}, and {', '.join(others)} is written too; leave "
            "it out of --to, or leave --streams out"
        )
    if fewer := [name for name in most if streams > most[name]]:
        raise UsageError(
            f"--streams is {streams}, expected 1 to {most[fewer[0]]} of {fewer[0]}: more "
            "sequences in a call gain nothing"
        )
    if not any(BATCH in state.axes for state in contract.step.states):
        raise UsageError(
            f"--streams is {streams}, and the network's states have no axis {BATCH}; leave "
            "--streams out"
        )


def _refuse_not_finite(loaded: Checkpoint) -> None:
    """Raise CheckpointError where a weight is infinite or NaN, whatever the outputs: gates
    saturate, and a row may wait for an id or a state that no check meets."""
    if wrong := not_finite(loaded.model):
        raise CheckpointError(
            f"the model has weights that are not finite: {wrong}; nothing was written. Train "
            "again, with a smaller "
            "--learning-rate or --clip, or restore the checkpoint"
        )


def _read_again(folder: Path) -> None:
    """Open the bundle that was written as its readers will; raise ContractError where they would
    refuse it.
    """
    try:
        with Bundle.open(folder) as written:
            golden.read(written.path(bundles.GOLDEN), written.manifest.contract)
    except BundleError as error:
        raise ContractError(
            f"the bundle that was made cannot be read again ({error}); nothing was written. "
            "This is a fault of edgernn: "
            "please report it with the checkpoint's config.json"
        ) from error


def _jobs(chosen: Chosen, contract: Contract, *, in_graph: bool) -> list[Job]:
    """Return what to write: every graph of every choice; one that a format leaves out is its
    family's first row's.
    """
    jobs: dict[str, Job] = {}
    decoder = decoder_of(contract) if in_graph else None
    if in_graph and decoder is None:
        raise UsageError(
            "the model writes neither texts nor captions, so no file can decode in the graph; "
            "leave --in-graph out"
        )
    for row, precision in chosen:
        for graph in contract.graphs:
            writer = row if graph.name in row.graphs else formats.select(row.family)[0]
            job = Job(writer, writer.precision_of(graph.name, precision), graph.name)
            jobs.setdefault(job.path, job)
        if decoder is not None and decoder in row.decoders:
            whole = Job(row, precision, decoder)
            jobs[whole.path] = whole
    return list(jobs.values())


def _fill(
    folder: Path, source: Source, jobs: list[Job], targets: tuple[str, ...], *, release: bool
) -> None:
    """Write a whole bundle into the empty ``folder``."""
    loaded, model = source.loaded, source.loaded.model
    written = [write_artifact(folder, job, source) for job in jobs]
    artifacts, libraries = built(folder, written, source, targets)
    files = {**write_companions(folder, source, release=release), **libraries}
    steps = [(job.row, job.path) for job in jobs if job.graph == STEP]
    files |= write_text_files(folder, source, steps)
    has = {
        name: name if (folder / name).exists() else None
        for name in (bundles.INITIAL_STATE, bundles.REFERENCE, bundles.SAMPLER)
    }
    evaluation = f"{bundles.EVALUATION}/{checkpoint.EVALUATION}"
    manifest = Manifest(
        family=model.family,
        contract=source.contract,
        decoding=source.decoding,
        artifacts=tuple(artifacts),
        tokenizer=None if loaded.tokenizer is None else tokenizer_entry(loaded.tokenizer),
        labels=dict(model.labels) or None,
        golden=bundles.GOLDEN,
        sampler=has[bundles.SAMPLER],
        initial_state=has[bundles.INITIAL_STATE],
        reference=has[bundles.REFERENCE],
        evaluation=evaluation if (folder / evaluation).exists() else None,
        files=files,
        provenance=Provenance(
            edgernn=edgernn.__version__,
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            parameters=model.parameter_count,
            model=model.config.model_dump(),
            training=loaded.training,
        ),
    )
    storage.write_text(folder / MANIFEST, manifest.to_json())
