"""``manifest.json``: what a bundle holds and promises. Its JSON Schema ships as
``edgernn/bundle/manifest.schema.json``.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError, model_validator

from edgernn.bundle.nats import FLOAT16_ROUNDING, is_within, relative_rise
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import (
    ENCODE,
    SCHEMA_VERSION,
    STEP,
    VOCAB,
    Contract,
    Count,
    Decoding,
    FileContract,
    FileGraph,
    Model,
    Narrowing,
    Size,
    first_line,
)
from edgernn.contract import rules as contract_rules
from edgernn.errors import BundleError
from edgernn.storage import strict_json
from edgernn.storage.inner_paths import checked, clash

MANIFEST = "manifest.json"
REPORTS = ("report.json", "report.html")  # written by verify, listed by nobody
_REFERENCE_FILES = ("config.json", "weights.safetensors", "tokenizer.json")

InnerPath = Annotated[str, AfterValidator(checked)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0, lt=1 << 53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Version = Annotated[
    str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$")
]  # as "1.23": numbers alone can be compared


class FileDigest(Model):
    """Size and SHA-256 of one file."""

    bytes: Bytes
    sha256: Sha256


class ParityRecord(Model):
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


class LossRecord(Model):
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


class Artifact(Model):
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
    graph: FileGraph = STEP
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


class TokenizerEntry(Model):
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


class Provenance(Model):
    """Where the model comes from. ``training`` is free-form: corpus, split, losses, steps."""

    edgernn: str
    created: str
    parameters: Annotated[int, Field(ge=1, lt=1 << 53)]
    model: dict[str, Any]
    training: dict[str, Any] = Field(default_factory=dict)


class Manifest(Model):
    """The whole of ``manifest.json``.

    ``files`` lists every file of the bundle but the manifest itself, the artifacts and the reports.
    ``sampler`` names the vectors by which a host checks its random numbers and its sampling.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    family: Literal["language", "captioner"] = "language"
    contract: Contract
    decoding: Decoding
    artifacts: tuple[Artifact, ...]
    tokenizer: TokenizerEntry
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
            contract_rules.family_problem(self.contract),
            contract_rules.decoding_problem(self.decoding, self.contract),
            _model_problem(self),
            *(_artifact_problem(artifact, self.contract) for artifact in self.artifacts),
        ):
            if problem:
                raise ValueError(problem)
        return self

    def file_contract(self, artifact: Artifact) -> FileContract:
        """Return what ``artifact`` must carry in its own metadata."""
        return FileContract(
            contract=self.contract,
            graph=artifact.graph,
            narrowing=artifact.narrowing,
            decoding=self.decoding,
        )

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
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise BundleError(
            f"{source}: {MANIFEST} has schema version {version!r}; this edgernn reads version "
            f"{SCHEMA_VERSION}. "
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
        "tokenizer": manifest.tokenizer.path,
        "golden": manifest.golden,
        "initial_state": manifest.initial_state,
        "evaluation": manifest.evaluation,
        "sampler": manifest.sampler,
    }
    if manifest.reference is not None:
        named |= {f"reference {name}": f"{manifest.reference}/{name}" for name in _REFERENCE_FILES}
    unlisted = [
        f"{field} ({path})"
        for field, path in named.items()
        if path is not None and path not in manifest.files
    ]
    if unlisted:
        return f"files does not list {unlisted[0]}, so nothing vouches for it"
    own = (MANIFEST, *REPORTS)
    return clash([*own, *manifest.files, *(artifact.path for artifact in manifest.artifacts)])


def _model_problem(manifest: Manifest) -> str:
    """Say how family, tokenizer or first state disagree with the contract."""
    contract, entry = manifest.contract, manifest.tokenizer
    if (manifest.family == "captioner") != (contract.encode is not None):
        return (
            f"the family is {manifest.family}, the contract has "
            f"{'no ' if contract.encode is None else 'an '}encode graph"
        )
    size = contract.sizes[VOCAB]
    if entry.vocabulary_size != size or any(token >= size for token in entry.ids):
        return (
            f"the tokenizer has {entry.vocabulary_size} tokens, or ids beyond them; the contract's "
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            ""
            f"vocabulary has {size}"
        )
    if (contract.initial_state == "learned") != (manifest.initial_state is not None):
        return (
            f"the first state is {contract.initial_state}, but initial_state is "
            f"{manifest.initial_state!r}"
        )
    return ""


def _artifact_problem(artifact: Artifact, contract: Contract) -> str:
    """Say why ``artifact`` can be no file of this contract."""
    absent = ("generate",) if contract.encode is not None else (ENCODE, "caption")
    if artifact.graph in absent:
        return f"{artifact.path} computes {artifact.graph}, which this contract has not"
    return contract_rules.narrowing_problem(artifact.narrowing, contract)


def json_schema() -> str:
    """Return the JSON Schema of ``manifest.json`` as it ships with the package."""
    return json.dumps(Manifest.model_json_schema(), indent=2) + "\n"
