"""Open whatever a user points at: an artifact of a bundle, or a lone model file that carries its
own contract.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from edgernn import formats
from edgernn.bundle import SUFFIX, Bundle
from edgernn.bundle.manifest import MANIFEST
from edgernn.bundle.records import Artifact
from edgernn.contract import ENCODE, STEP, Contract, FileContract
from edgernn.contract.in_graph import DECODERS, GENERATE
from edgernn.contract.interface import FileDescription
from edgernn.errors import BundleError, ContractError, UnavailableError, UsageError
from edgernn.sessions.base import Session, State, checked_threads
from edgernn.sessions.file import OpenedFile
from edgernn.sessions.in_graph import Decoder, Generator
from edgernn.sessions.runtime_versions import refuse_older
from edgernn.storage import tensor_files
from edgernn.storage.identify import identify, path_of
from edgernn.storage.kind import Kind
from edgernn.wording import argument

# What is too damaged to be told what it is, which the runtime of its suffix then says.
_UNTOLD = ("unknown", "text", "zip", "damaged-zip", "folder", "empty-folder")
F = TypeVar("F", bound=OpenedFile)


def open_session(
    source: Path | str | Bundle,
    artifact: str | None = None,
    *,
    threads: int | None = None,
    trust: bool = False,
) -> Session | Any:
    """Open an artifact for stepping; one that decodes in the graph comes as the ``Decoder`` that it
    is, and has no step.

    Args:
        source: an opened bundle, the path of a bundle, or of a model file (``.onnx``, ``.pt``,
            ``.mlpackage``).
        artifact: which one of a bundle: its path or its format; by default the first that runs
            here.
        threads: see ``Session.open``.
        trust: run programs, as C, as they lie there; without it they are generated afresh from the
            graph beside them.

    Raises:
        BundleError, ContractError, UnavailableError: see errors.py.
        UsageError: the bundle has no such artifact, or ``threads`` is less than 1.
    """
    if not isinstance(source, Bundle) and not is_bundle(path := path_of(source)):
        if artifact is not None:
            raise UsageError(
                f"{source} is one model file; an artifact can be chosen of a bundle only"
            )
        return _open_file(path, threads=threads, trust=trust)
    bundle = Bundle.open(source, trust=trust)
    if artifact is not None:
        chosen = bundle.artifact(artifact)
        opening = open_decoder if chosen.graph in DECODERS else open_artifact
        return opening(bundle, chosen, threads=threads)
    return first_that_runs(bundle, threads=threads)[1]


def first_that_runs(bundle: Bundle, *, threads: int | None = None) -> tuple[Artifact, Session]:
    """Open the first step artifact that this machine can run; raise the first one's
    UnavailableError where it can run none.
    """
    lacking: list[UnavailableError] = []
    for artifact in (artifact for artifact in bundle.manifest.artifacts if artifact.graph == STEP):
        try:
            return artifact, open_artifact(bundle, artifact, threads=threads)
        except UnavailableError as error:
            lacking.append(error)
    raise (
        lacking[0]
        if lacking
        else BundleError(f"{bundle.source} has no artifact; export the bundle again")
    )


def open_artifact(
    bundle: Bundle,
    artifact: Artifact,
    session: type[Session] | None = None,
    *,
    threads: int | None = None,
) -> Session:
    """Open one artifact of an opened bundle, in its format's own session unless another is
    given.

    Raises:
        UsageError: it decodes in the graph, so that it has no step; or see ``open_session``.
    """
    refuse_older(artifact.requires, artifact.path)
    if artifact.graph in DECODERS:
        raise UsageError(
            f"{artifact.path} writes by itself, in one call of edgernn.open_session; choose a "
            "step file"
        )
    kind = session or session_class(artifact.format, trust=bundle.trusted)
    return _opened(kind, bundle, artifact, threads=threads)


def open_decoder(bundle: Bundle, artifact: Artifact, *, threads: int | None = None) -> Decoder:
    """Open an artifact that decodes in the graph; raises what ``open_session`` raises."""
    refuse_older(artifact.requires, artifact.path)
    kind: type[Decoder] = _decoder_class(artifact.format, artifact.graph)
    return _opened(kind, bundle, artifact, threads=threads)


def open_generator(bundle: Bundle, artifact: Artifact, *, threads: int | None = None) -> Generator:
    """Open an artifact that writes a text in one call; raises what ``open_session`` raises."""
    refuse_older(artifact.requires, artifact.path)
    kind: type[Generator] = _decoder_class(artifact.format, GENERATE)
    return _opened(kind, bundle, artifact, threads=threads)


def _opened(kind: type[F], bundle: Bundle, artifact: Artifact, *, threads: int | None) -> F:
    _refuse_another_keeper(artifact)
    first = bundle.manifest.initial_state
    values = read_first_state(bundle.path(first), bundle.manifest.contract) if first else None
    path, file_contract = bundle.path(artifact.path), bundle.file_contract(artifact)
    return kind.open(path, file_contract, values, threads=checked_threads(threads))


def _refuse_another_keeper(artifact: Artifact) -> None:
    """Raise ContractError where the manifest says in one place that the runtime keeps the state and
    in another that it does not: an app would look for states that are not there.
    """
    keeps = formats.by_name(artifact.format).keeps_state
    if keeps != artifact.narrowing.runtime_state and artifact.graph == STEP:
        own = "keeps" if keeps else "does not keep"
        raise ContractError(
            f"{artifact.path} is called {artifact.format}, whose runtime {own} the state, and its "
            "narrowing says otherwise; export the bundle again"
        )


def encoder_of(bundle: Bundle, step: Artifact) -> Artifact:
    """Return the encode artifact that goes with a step artifact: of its family, of its precision
    where there is one.

    Raises:
        ContractError: the bundle has none of the family.
    """
    family = formats.by_name(step.format).family
    found = [
        a
        for a in bundle.manifest.artifacts
        if a.graph == ENCODE and formats.by_name(a.format).family == family
    ]
    if not found:
        raise ContractError(
            f"{bundle.source} has no encode file of {family} for {step.path}; export the "
            "bundle again"
        )
    return next((artifact for artifact in found if artifact.precision == step.precision), found[0])


def read_first_state(path: Path, contract: Contract) -> State:
    """Read the learned first state; raise ContractError where a tensor is missing or of another
    dtype or shape.
    """
    values: State = tensor_files.read(
        path, what="first state", remedy="export the bundle again", error=ContractError
    )
    for spec in contract.starting("stored"):
        wanted = (spec.dtype, contract.shape(spec, batch=1))
        found = (
            (str(values[spec.name].dtype), values[spec.name].shape) if spec.name in values else None
        )
        if found is not None and found != wanted:
            raise ContractError(
                f"the first state {spec.name} is {found[0]} {list(found[1])}, expected "
                f"{wanted[0]} {list(wanted[1])}"
            )
    if spoilt := tensor_files.first_not_finite(values):
        raise ContractError(
            f"the first state {spoilt} has a value that is not finite; export the bundle again"
        )
    return values


def session_class(format_name: str, *, trust: bool = False) -> type[Session]:
    """Return the session class of a format, where it is to ``trust`` that which runs programs as
    they are; raise UnavailableError where its package is not installed.
    """
    row = formats.by_name(format_name)
    found: type[Session] = formats.resolve(
        (row.trusted if trust else None) or row.session,
        needed_for=f"running {row.name}",
        extra=row.run_extra,
    )
    return found


def _decoder_class(format_name: str, graph: str) -> Any:
    """Return the class of a format's files of ``graph``, which decode in it."""
    row = formats.by_name(format_name)
    if graph not in row.decoders:
        raise ContractError(
            f"{row.name} has no files that compute {graph}; use the edgernn that exported it"
        )
    return formats.resolve(
        row.decoders[graph], needed_for=f"running {row.name}", extra=row.run_extra
    )


def describe_file(path: Path) -> tuple[formats.Format, FileDescription]:
    """Read a lone model file: its row of the format table, and what it says of itself.

    Raises:
        UsageError: there is no such file, or its suffix belongs to no format.
    """
    kind = identify(path)
    if kind.key == "missing":
        raise UsageError(f"no file or folder at {path}")
    if kind.key not in {*_UNTOLD, *(key for row in formats.FORMATS.values() for key in row.kinds)}:
        raise UsageError(f"{path} is {kind.name}, expected a model file; {kind.advise(path)}")
    rows = _rows_of(path, kind)
    if not rows:
        known = ", ".join(sorted({row.suffix for row in formats.FORMATS.values()} - {""}))
        raise UsageError(
            f"{path} is {kind.name}, neither a bundle nor a model file; expected a folder with "
            f"{MANIFEST}, {SUFFIX}, {known}"
        )
    return _described(path, rows)


def _described(path: Path, rows: list[formats.Format]) -> tuple[formats.Format, FileDescription]:
    """Return the row of ``rows``, all of one suffix, whose files are as ``path``, and what the file
    says; of none, raise what the first says of it.
    """
    wrong: list[ContractError] = []
    for family in dict.fromkeys(row.family for row in rows):
        relatives = [row for row in rows if row.family == family]
        try:
            description = session_class(relatives[0].name).describe(path)
        except ContractError as error:
            wrong.append(error)
            continue
        kept = bool(description.interface.states)
        return next((r for r in relatives if r.keeps_state == kept), relatives[0]), description
    raise wrong[0]


def _rows_of(path: Path, kind: Kind) -> list[formats.Format]:
    """Return the rows whose files ``path`` may be: by its suffix, or by its kind where the files of
    a row have none.
    """
    rows = formats.FORMATS.values()
    return [
        row for row in rows if path.suffix == row.suffix and (row.suffix or kind.key in row.kinds)
    ]


def describes(path: Path) -> bool:
    """Return whether ``describe_file`` finds a format by the suffix of ``path``, or by what it is
    where it has none.
    """
    suffixes = {row.suffix for row in formats.FORMATS.values()}
    return path.suffix in suffixes and (bool(path.suffix) or bool(_rows_of(path, identify(path))))


def is_model_file(path: Path, kind: Kind) -> bool:
    """Return whether the files of a format of the suffix of ``path`` are of its ``kind``."""
    rows = (row for row in formats.FORMATS.values() if path.suffix == row.suffix)
    return any(kind.key in row.kinds and kind.key not in _UNTOLD for row in rows)


def is_bundle(path: Path) -> bool:
    """Return whether ``path`` can only be meant as a bundle: by its suffix, its content, or as a
    folder that is no package.
    """
    if path.suffix == SUFFIX or (path.is_dir() and not describes(path)):
        return True
    return identify(path).key in {"bundle", "packed-bundle"}


def _open_file(path: Path, *, threads: int | None, trust: bool) -> Session | Any:
    if identify(path).key == "missing":
        raise BundleError(
            f"no bundle or model file at {path}; make one with: edgernn export RUN --out "
            f"{argument(path)}"
        )
    row, description = describe_file(path)
    file_contract = FileContract.from_metadata(description.metadata, source=str(path))
    decodes = file_contract.graph in DECODERS
    kind = (
        _decoder_class(row.name, file_contract.graph)
        if decodes
        else session_class(row.name, trust=trust)
    )
    return kind.open(path, file_contract, threads=checked_threads(threads))
