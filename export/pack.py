"""From a checkpoint folder to a bundle: write the artifacts, measure them, and pack what they need to be driven."""

from __future__ import annotations

import copy
import datetime
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.numpy

import edgernn
from edgernn import bundle as bundles
from edgernn import formats, storage
from edgernn.bundle import Bundle, digest
from edgernn.contract import ENCODE, STEP, Contract, Decoding, FileContract, GraphName
from edgernn.data.tokenizer import Tokenizer
from edgernn.errors import BundleError, ContractError, UnavailableError, UsageError
from edgernn.manifest import (
    MANIFEST,
    Artifact,
    FileDigest,
    Manifest,
    ParityRecord,
    Provenance,
    TokenizerEntry,
    parse_manifest,
)
from edgernn.models import checkpoint
from edgernn.models.checkpoint import Checkpoint
from edgernn.parity import golden
from edgernn.parity.subject import DEFAULT_STEPS
from edgernn.parity.verify import measure
from edgernn.sessions.base import Session
from edgernn.sessions.eager import EagerSession
from edgernn.tolerances import tolerance

_RECORDED_TOKENS = 512
Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Job:
    """One artifact to write."""

    row: formats.Format
    precision: str
    graph: GraphName

    @property
    def path(self) -> str:
        """The artifact's place in the bundle."""
        return self.row.path(self.precision, self.graph)


def export_bundle(
    source: Path | str | Checkpoint,
    out: Path | str,
    *,
    to: Iterable[str] | str | None = None,
    precision: Iterable[str] | str | None = None,
    release: bool = False,
    steps: int = DEFAULT_STEPS,
    tell: Tell = lambda line: None,
) -> Bundle:
    """Export a checkpoint to a bundle, each artifact checked against the contract and rolled out against the reference.

    Args:
        source: a checkpoint folder, or a loaded checkpoint; it is not changed.
        out: a folder, or a file ending in ``.edgernn``; an older bundle there is replaced once the new one is whole.
        to: formats or families; default all.
        precision: every precision to write in the formats that offer it; default each format's first.
        release: leave the reference weights and the held-out sample out.
        steps: length of the rollouts.
        tell: hears, one line each, what is being done.

    Returns:
        The bundle, opened.

    Raises:
        UsageError: an unknown format or precision, or ``out`` holds something else.
        CheckpointError: the checkpoint is missing or damaged.
        ContractError: an artifact does not keep the contract or its tolerance; nothing is written.
        UnavailableError: a package that a format needs is not installed.
    """
    out = Path(out)
    chosen = _chosen(to, precision)
    _refuse_foreign(out)
    loaded = source if isinstance(source, Checkpoint) else checkpoint.load(source)
    jobs = _jobs(chosen, loaded.model.config.contract())
    loaded = replace(loaded, model=copy.deepcopy(loaded.model).cpu().float().eval())
    if out.suffix == bundles.SUFFIX:
        with tempfile.TemporaryDirectory(prefix="edgernn-") as scratch:
            folder = Path(scratch) / out.stem
            folder.mkdir()
            _fill(folder, loaded, jobs, release=release, steps=steps, tell=tell)
            bundles.pack(folder, out)
    else:
        with storage.replacing(out) as folder:
            folder.mkdir()
            _fill(folder, loaded, jobs, release=release, steps=steps, tell=tell)
    return Bundle.open(out)


_Chosen = list[tuple[formats.Format, str]]


def _chosen(to: Iterable[str] | str | None, precision: Iterable[str] | str | None) -> _Chosen:
    """Pair formats with precisions. What was asked for by name and cannot be had is an error, never left out."""
    named = [to] if isinstance(to, str) else None if to is None else list(to)
    rows = formats.select(named)
    if precision is None:
        return [(row, row.precisions[0]) for row in rows]
    wanted = [precision] if isinstance(precision, str) else list(dict.fromkeys(precision))
    chosen = [(row, name) for row in rows for name in wanted if name in row.precisions]
    unmet = [name for name in wanted if name not in {name for _, name in chosen}]
    unmet += [row.name for row in rows if row.name in (named or ()) and row not in {row for row, _ in chosen}]
    if unmet or not chosen:
        offers = "; ".join(f"{row.name} offers {', '.join(row.precisions)}" for row in rows)
        raise UsageError(f"cannot export {', '.join(unmet) or 'nothing'} as asked: {offers}")
    return chosen


def _jobs(chosen: _Chosen, contract: Contract) -> list[_Job]:
    """Return what to write: every graph of every choice; one that a format leaves out is its family's first row's."""
    jobs: dict[str, _Job] = {}
    for row, precision in chosen:
        for graph in contract.graphs:
            writer = row if graph.name in row.graphs else formats.select(row.family)[0]
            job = _Job(writer, precision if precision in writer.precisions else writer.precisions[0], graph.name)
            jobs.setdefault(job.path, job)
    return list(jobs.values())


def _refuse_foreign(out: Path) -> None:
    """Replace nothing but a bundle."""
    if out.suffix == bundles.SUFFIX:
        if out.is_dir():
            raise UsageError(f"{out} is a folder, expected a {bundles.SUFFIX} file to write; choose another --out")
    elif out.is_dir() and (foreign := _foreign_files(out)):
        raise UsageError(f"{out} is there and is no bundle; it was left as it is ({foreign[0]}). Choose another --out")
    elif out.exists() and not out.is_dir():
        raise UsageError(f"{out} is there and is no bundle; it was left as it is. Choose another --out")


def _foreign_files(folder: Path) -> list[str]:
    """Return the files in ``folder`` that are not of a bundle: what its manifest does not list."""
    files = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if not path.is_dir()]
    try:
        manifest = parse_manifest((folder / MANIFEST).read_text(encoding="utf-8"), source=str(folder))
    except (BundleError, OSError, UnicodeDecodeError):
        return files
    reports = (bundles.REPORT, bundles.REPORT_PAGE)
    listed = {MANIFEST, *reports, *manifest.files, *(artifact.path for artifact in manifest.artifacts)}
    return [name for name in files if not any(name == inner or name.startswith(f"{inner}/") for inner in listed)]


def _fill(folder: Path, loaded: Checkpoint, jobs: list[_Job], *, release: bool, steps: int, tell: Tell) -> None:
    """Write a whole bundle into the empty ``folder``."""
    model = loaded.model
    contract = model.config.contract()
    decoding = model.config.decoding(loaded.tokenizer)
    references: dict[str, Session] = {
        graph.name: EagerSession(model, FileContract(contract=contract, graph=graph.name, decoding=decoding))
        for graph in contract.graphs
    }
    artifacts = []
    for job in jobs:
        tell(f"exporting {job.row.name} {job.precision}" + (f", {job.graph}" if len(references) > 1 else ""))
        artifacts.append(_export(folder, job, loaded, reference=references[job.graph], decoding=decoding, steps=steps))
    files = _write_companions(folder, loaded, references, release=release)
    has = {name: name if (folder / name).exists() else None for name in (bundles.INITIAL_STATE, bundles.REFERENCE)}
    evaluation = f"{bundles.EVALUATION}/{checkpoint.HELD_OUT}"
    manifest = Manifest(
        family=model.family,
        contract=contract,
        decoding=decoding,
        artifacts=tuple(artifacts),
        tokenizer=_tokenizer_entry(loaded.tokenizer),
        golden=bundles.GOLDEN,
        initial_state=has[bundles.INITIAL_STATE],
        reference=has[bundles.REFERENCE],
        evaluation=evaluation if (folder / evaluation).exists() else None,
        files=files,
        provenance=Provenance(
            edgernn=edgernn.__version__,
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            model=model.config.model_dump(),
            training=loaded.training,
        ),
    )
    storage.write_text(folder / MANIFEST, manifest.to_json())


def _tokenizer_entry(tokenizer: Tokenizer) -> TokenizerEntry:
    """Describe the tokenizer, with a text of its first tokens and the ids that every host's tokenizer must give for it."""
    size = tokenizer.vocabulary_size
    text = tokenizer.decode(range(min(size, _RECORDED_TOKENS)))
    ids = tokenizer.encode(text, on_unknown="skip")
    return TokenizerEntry(kind=tokenizer.kind, vocabulary_size=size, text=text, ids=tuple(ids.tolist()))


def _export(folder: Path, job: _Job, loaded: Checkpoint, *, reference: Session, decoding: Decoding, steps: int) -> Artifact:
    row, inner = job.row, job.path
    exporter = formats.resolve(row.exporter or "", needed_for=f"exporting {row.name}", extra=row.export_extra)()
    written = exporter.export(loaded.model, folder / inner, precision=job.precision, decoding=decoding, graph=job.graph)
    file_contract = FileContract(contract=reference.contract, graph=job.graph, narrowing=written.narrowing, decoding=decoding)
    found = digest(folder / inner)
    return Artifact(
        path=inner,
        format=row.name,
        precision=job.precision,
        graph=job.graph,
        bytes=found.bytes,
        sha256=found.sha256,
        target=written.target,
        exporter=written.exporter,
        narrowing=written.narrowing,
        parity=_parity(folder / inner, job, reference, file_contract, steps=steps),
    )


def _parity(path: Path, job: _Job, reference: Session, file_contract: FileContract, *, steps: int) -> ParityRecord | None:
    """Roll the artifact out where its runtime is here; raise ContractError if it is out of tolerance."""
    row = job.row
    session = formats.resolve(row.session, needed_for=f"checking {row.name}", extra=row.export_extra)
    first = reference.initial_state(1) if reference.contract.initial_state == "learned" else None
    try:
        candidate = session.open(path, file_contract, first)
    except UnavailableError:
        return None
    record = measure(reference, candidate, limit=tolerance(row.family, job.precision), steps=steps)
    if not math.isfinite(record.worst):
        raise ContractError(
            f"{row.name} {job.precision} or its reference gives numbers that are not finite in {record.tensor}; "
            "nothing was written. Look for NaN in the weights, or for a state that overflows"
        )
    if not record.worst <= record.tolerance:
        raise ContractError(
            f"{row.name} {job.precision} is {record.worst:.1e} from the reference in {record.tensor} over {steps} steps, "
            f"tolerance {record.tolerance:.0e}; nothing was written"
        )
    return record


def _write_companions(
    folder: Path, loaded: Checkpoint, references: Mapping[str, Session], *, release: bool
) -> dict[str, FileDigest]:
    """Write all but artifacts and manifest; return the digest of each file."""
    reference = references[STEP]
    loaded.tokenizer.save(folder / bundles.TOKENIZER)
    golden.record(reference, folder / bundles.GOLDEN, encoder=references.get(ENCODE))
    names = [bundles.TOKENIZER, bundles.GOLDEN]
    if reference.contract.initial_state == "learned":
        storage.write_bytes(folder / bundles.INITIAL_STATE, safetensors.numpy.save(reference.initial_state(1)))
        names.append(bundles.INITIAL_STATE)
    if not release:
        checkpoint.save(replace(loaded, held_out={}), folder / bundles.REFERENCE)
        names += [f"{bundles.REFERENCE}/{file.name}" for file in sorted((folder / bundles.REFERENCE).iterdir())]
        if loaded.held_out:
            names.append(f"{bundles.EVALUATION}/{checkpoint.HELD_OUT}")
            checkpoint.save_held_out(folder / names[-1], loaded.held_out)
    return {name: digest(folder / name) for name in names}
