"""``manifest.json``: what a bundle holds and promises. Its JSON Schema ships as
``edgernn/bundle/manifest.schema.json``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import ValidationError, model_validator

from edgernn.bundle.records import (
    Artifact,
    FamilyWord,
    FileDigest,
    InnerPath,
    Provenance,
    TokenizerEntry,
)
from edgernn.contract import (
    READABLE,
    SCHEMA_VERSION,
    Contract,
    Decoding,
    FileContract,
    Record,
    SchemaVersion,
    first_line,
    rules,
)
from edgernn.contract.in_graph import decoder_of
from edgernn.contract.spec import AxisName
from edgernn.errors import BundleError
from edgernn.storage import strict_json
from edgernn.storage.inner_paths import clash

MANIFEST = "manifest.json"
REPORTS = ("report.json", "report.html")  # written by verify, listed by nobody
SIGNATURE = "model.sig"  # written by sign over all that is listed, so listed by nobody
_GRAPH_SUFFIXES = (".pt", ".onnx")
_CHECKPOINT_FILES, _VOCABULARY = ("config.json", "weights.safetensors"), "tokenizer.json"


class Manifest(Record):
    """The whole of ``manifest.json``.

    ``files`` lists every file of the bundle but the manifest itself, the artifacts, the reports and
    the signature.
    ``family`` says what kind of model it is, see ``families/table.py``; a word that is not known
    there means what needs the contract alone. ``tokenizer`` and ``decoding`` are there where the
    model reads or writes text. ``labels`` are names of the places along an axis of the contract, as
    of the classes of a classifier. ``sampler`` names the vectors by which a host checks its random
    numbers and its sampling.
    """

    schema_version: SchemaVersion = SCHEMA_VERSION
    family: FamilyWord = "language"
    contract: Contract
    decoding: Decoding | None = None
    artifacts: tuple[Artifact, ...]
    tokenizer: TokenizerEntry | None = None
    labels: dict[AxisName, tuple[str, ...]] | None = None
    golden: InnerPath | None = None
    initial_state: InnerPath | None = None
    reference: InnerPath | None = None
    evaluation: InnerPath | None = None
    sampler: InnerPath | None = None
    files: dict[InnerPath, FileDigest]
    provenance: Provenance

    @model_validator(mode="after")
    def _parts_fit(self) -> Manifest:
        for problem in (
            _path_problem(self),
            rules.decoding_problem(self.decoding, self.contract),
            _model_problem(self),
            _labels_problem(self),
            *(_artifact_problem(artifact, self.contract) for artifact in self.artifacts),
        ):
            if problem:
                raise ValueError(problem)
        return self

    def file_contract(self, artifact: Artifact) -> FileContract:
        """Return what ``artifact`` must carry in its own metadata."""
        return FileContract(
            schema_version=self.schema_version,
            contract=self.contract,
            graph=artifact.graph,
            narrowing=artifact.narrowing,
            decoding=self.decoding,
        )

    @property
    def text_tokenizer(self) -> TokenizerEntry:
        """The tokenizer's entry; raises BundleError where the model reads no text."""
        if self.tokenizer is None:
            raise BundleError("the bundle has no tokenizer: its model reads and writes no text")
        return self.tokenizer

    @property
    def decoding_defaults(self) -> Decoding:
        """How a host writes text; raises BundleError where the model writes none."""
        if self.decoding is None:
            raise BundleError("the bundle has no decoding defaults: its model writes no text")
        return self.decoding

    def to_json(self) -> str:
        """Return the manifest as it is written."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def parse_manifest(text: str | bytes, *, source: str) -> Manifest:
    """Read a manifest; ``source`` names the bundle in errors.

    Raises:
        BundleError: not JSON, another schema version, or a field that is missing or wrong (named).
    """
    try:
        raw = strict_json.parse(text)
    except ValueError as error:
        raise BundleError(
            f"{source}: {MANIFEST} is damaged ({error}); copy or export the bundle again"
        ) from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version not in READABLE or isinstance(version, bool):
        raise BundleError(
            f"{source}: {MANIFEST} has schema version {version!r}; this edgernn reads versions "
            f"{READABLE[0]} to {READABLE[-1]}. "
            "Export the bundle again with this edgernn, or install the edgernn that wrote it"
        )
    try:
        return Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise BundleError(
            f"{source}: {MANIFEST} is damaged: {first_line(error)}; export the bundle again"
        ) from error


def _path_problem(manifest: Manifest) -> str:
    """Say which file that is read is not listed, or which two paths some disk takes for one."""
    named = {
        "tokenizer": manifest.tokenizer.path if manifest.tokenizer else None,
        "golden": manifest.golden,
        "initial_state": manifest.initial_state,
        "evaluation": manifest.evaluation,
        "sampler": manifest.sampler,
        **_reference_files(manifest),
        **{
            f"library of {artifact.path} for {library.target}": library.path
            for artifact in manifest.artifacts
            for library in artifact.libraries or ()
        },
    }
    unlisted = [
        f"{field} ({path})"
        for field, path in named.items()
        if path is not None and path not in manifest.files
    ]
    if unlisted:
        return f"files does not list {unlisted[0]}, so nothing vouches for it"
    own = (MANIFEST, *REPORTS, SIGNATURE)
    return clash([*own, *manifest.files, *(artifact.path for artifact in manifest.artifacts)])


def _reference_files(manifest: Manifest) -> dict[str, str]:
    """Return what is read of the reference: a checkpoint's files, the traced graphs, or the file
    that the model came as.
    """
    folder = manifest.reference
    if folder is None:
        return {}
    names: Sequence[str] = (*_CHECKPOINT_FILES, *((_VOCABULARY,) if manifest.tokenizer else ()))
    for suffix in _GRAPH_SUFFIXES:
        files = [f"{graph.name}{suffix}" for graph in manifest.contract.graphs]
        if f"{folder}/{files[-1]}" in manifest.files:
            names = files
    return {f"reference {name}": f"{folder}/{name}" for name in names}


def _model_problem(manifest: Manifest) -> str:
    """Say how tokenizer or first state disagree with the contract."""
    contract, entry = manifest.contract, manifest.tokenizer
    if entry is not None:
        ids = contract.step.ids
        if ids is None or ids.below is None:
            return "there is a tokenizer, but step takes no ids"
        size = contract.sizes[ids.below]
        if entry.vocabulary_size != size or any(token >= size for token in entry.ids):
            return (
                f"the tokenizer has {entry.vocabulary_size} tokens, or ids beyond them; the "
                f"contract's vocabulary has {size}"
            )
    stored = [state.name for state in contract.starting("stored")]
    if bool(stored) != (manifest.initial_state is not None):
        told = f"the first values of {', '.join(stored)} are" if stored else "no first value is"
        return f"{told} stored, but initial_state is {manifest.initial_state!r}"
    return ""


def _labels_problem(manifest: Manifest) -> str:
    """Say which names are not one for each place of an axis of the contract."""
    sizes = manifest.contract.sizes
    for axis, names in (manifest.labels or {}).items():
        if sizes.get(axis) != len(names) or len(set(names)) != len(names):
            return (
                f"labels names {len(set(names))} places of {axis}, whose size is "
                f"{sizes.get(axis, 'not in the contract')}"
            )
    return ""


def _artifact_problem(artifact: Artifact, contract: Contract) -> str:
    """Say why ``artifact`` can be no file of this contract."""
    own = [graph.name for graph in contract.graphs]
    if artifact.graph not in own and decoder_of(contract) != artifact.graph:
        return f"{artifact.path} computes {artifact.graph}, which this contract has not"
    return rules.narrowing_problem(artifact.narrowing, contract)


def json_schema() -> str:
    """Return the JSON Schema of ``manifest.json`` as it ships with the package."""
    return json.dumps(Manifest.model_json_schema(), indent=2) + "\n"
