"""``manifest.json``: what a bundle holds and promises. Its JSON Schema ships as
``edgernn/bundle/manifest.schema.json``.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError, model_validator

from edgernn.bundle.nats import FLOAT16_ROUNDING, is_within, relative_rise
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import (
    READABLE,
    SCHEMA_VERSION,
    STEP,
    Contract,
    Count,
    Decoding,
    FileContract,
    GraphWord,
    Narrowing,
    Record,
    SchemaVersion,
    Size,
    first_line,
    rules,
)
from edgernn.contract.in_graph import decoder_of
from edgernn.errors import BundleError
from edgernn.storage import strict_json
from edgernn.storage.inner_paths import checked, clash

MANIFEST = "manifest.json"
REPORTS = ("report.json", "report.html")  # written by verify, listed by nobody
_CHECKPOINT_FILES = ("config.json", "weights.safetensors", "tokenizer.json")

FamilyWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
InnerPath = Annotated[str, AfterValidator(checked)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0, lt=1 << 53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Version = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$")
]  # as "1.23": numbers alone can be compared


class FileDigest(Record):
    """Size and SHA-256 of one file."""

    bytes: Bytes
    sha256: Sha256


class ParityRecord(Record):
    """What chained runs showed when the bundle was packed: see ``formats/promise.py`` for
    the measure.

    ``steps`` is the length of the run that went furthest; ``seed`` drew the rows and call lengths,
    see parity/shapes.py.
    """

    steps: Annotated[int, Field(ge=1)]
    worst: float
    tensor: str
    tolerance: float
    seed: Annotated[int, Field(ge=0)] | None = None


class LossRecord(Record):
    """What a reduced precision lost on held-out data when it was packed; see
    ``parity/text_loss.py`` for the measures.

    ``allowed`` is the largest relative rise of perplexity that the user, or else the precision,
    allows; it is absent where captions are held to ``allowed_cider_drop`` instead, with ``cider``
    the CIDEr-D of greedy captions. ``reference_nats`` and ``nats`` are the logarithms of the two
    perplexities, and what is compared where they are there: a perplexity beyond every float64 is
    written as the largest.
    """

    tokens: Annotated[int, Field(ge=1)]
    reference_perplexity: Annotated[Finite, Field(gt=0)]
    perplexity: Annotated[Finite, Field(gt=0)]
    mean_kl: Finite
    top1: Finite
    reference_nats: Finite | None = None
    nats: Finite | None = None
    allowed: Finite | None = None
    reference_cider: Finite | None = None
    cider: Finite | None = None
    allowed_cider_drop: Finite | None = None

    @property
    def before(self) -> float:
        """The reference's mean of -log p, in nats a token."""
        return (
            math.log(self.reference_perplexity)
            if self.reference_nats is None
            else self.reference_nats
        )

    @property
    def after(self) -> float:
        """The artifact's mean of -log p, in nats a token."""
        return math.log(self.perplexity) if self.nats is None else self.nats

    @property
    def increase(self) -> float:
        """The relative rise of perplexity; above 0 is worse."""
        return relative_rise(self.before, self.after)

    def is_within(self, allowed: float) -> bool:
        """Return whether the perplexity rises by no more than ``allowed``, but for rounding; see
        ``nats.is_within``.
        """
        return is_within(self.before, self.after, allowed, rounding=FLOAT16_ROUNDING)

    @property
    def cider_drop(self) -> float | None:
        """The relative drop of CIDEr-D; above 0 is worse."""
        if self.cider is None or self.reference_cider is None:
            return None
        return 1 - self.cider / self.reference_cider if self.reference_cider else 0.0


class Artifact(Record):
    """One exported model file (or folder: then ``sha256`` is that of its listing).

    ``target`` is the opset, the deployment target or the runtime version for which it was written;
    ``exporter`` names the packages that wrote it. ``requires``: package → the lowest version that
    runs the file, where that is above edgernn's own lowest. ``parity`` is absent where the runtime
    does not exist on the machine that packed. ``weights`` is how each weight is stored, read back
    from the file, where the exporter can tell; ``loss`` what a reduced precision costs.

    ``tolerance`` is what a replay of the golden run may differ by: the largest scaled difference
    of the chained run, or where ``forced`` the relative RMS error of single steps, each started
    from the recorded state. Older bundles have neither.
    """

    path: InnerPath
    format: str
    precision: str
    graph: GraphWord = STEP
    bytes: Bytes
    sha256: Sha256
    target: str
    exporter: str
    requires: dict[str, Version] = Field(default_factory=dict)
    narrowing: Narrowing = Narrowing()
    parity: ParityRecord | None = None
    weights: tuple[StoredWeight, ...] = ()
    loss: LossRecord | None = None
    tolerance: Annotated[Finite, Field(gt=0)] | None = None
    forced: bool = False


class TokenizerEntry(Record):
    """The tokenizer's file and what must agree with the model.

    ``text`` encodes to ``ids`` (unknown characters left out), so that a host can tell whether its
    own tokenizer agrees. ``tokens_sha256`` vouches for every token, ``rules_sha256`` for how text
    is cut and joined; see ``data/vocabulary_digest.py``. Older bundles have neither.
    """

    path: InnerPath = "tokenizer.json"
    kind: str
    vocabulary_size: Size
    text: str = ""
    ids: tuple[Count, ...] = ()
    tokens_sha256: Sha256 | None = None
    rules_sha256: Sha256 | None = None


class Provenance(Record):
    """Where the model comes from. ``training`` is free-form: corpus, split, losses, steps."""

    edgernn: str
    created: str
    parameters: Annotated[int, Field(ge=0, lt=1 << 53)]
    model: dict[str, Any]
    training: dict[str, Any] = Field(default_factory=dict)


class Manifest(Record):
    """The whole of ``manifest.json``.

    ``files`` lists every file of the bundle but the manifest itself, the artifacts and the reports.
    ``family`` says what kind of model it is, see ``families/table.py``; a word that is not known
    there means what needs the contract alone. ``tokenizer`` and ``decoding`` are there where the
    model reads or writes text. ``sampler`` names the vectors by which a host checks its random
    numbers and its sampling.
    """

    schema_version: SchemaVersion = SCHEMA_VERSION
    family: FamilyWord = "language"
    contract: Contract
    decoding: Decoding | None = None
    artifacts: tuple[Artifact, ...]
    tokenizer: TokenizerEntry | None = None
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
    }
    unlisted = [
        f"{field} ({path})"
        for field, path in named.items()
        if path is not None and path not in manifest.files
    ]
    if unlisted:
        return f"files does not list {unlisted[0]}, so nothing vouches for it"
    own = (MANIFEST, *REPORTS)
    return clash([*own, *manifest.files, *(artifact.path for artifact in manifest.artifacts)])


def _reference_files(manifest: Manifest) -> dict[str, str]:
    """Return what is read of the reference: a checkpoint's files, or the traced graphs."""
    folder = manifest.reference
    if folder is None:
        return {}
    traced = [f"{graph.name}.pt" for graph in manifest.contract.graphs]
    names = traced if f"{folder}/{traced[-1]}" in manifest.files else _CHECKPOINT_FILES
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


def _artifact_problem(artifact: Artifact, contract: Contract) -> str:
    """Say why ``artifact`` can be no file of this contract."""
    own = [graph.name for graph in contract.graphs]
    if artifact.graph not in own and decoder_of(contract) != artifact.graph:
        return f"{artifact.path} computes {artifact.graph}, which this contract has not"
    return rules.narrowing_problem(artifact.narrowing, contract)


def json_schema() -> str:
    """Return the JSON Schema of ``manifest.json`` as it ships with the package."""
    return json.dumps(Manifest.model_json_schema(), indent=2) + "\n"
