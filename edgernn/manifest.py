"""``manifest.json``: what a bundle holds and promises. Its JSON Schema ships as ``edgernn/manifest.schema.json``."""

from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from edgernn.contract import SCHEMA_VERSION, STEP, Contract, Decoding, FileContract, FileGraph, Model, Narrowing, first_line
from edgernn.errors import BundleError
from edgernn.nats import is_within, relative_rise
from edgernn.stored_weights import StoredWeight

MANIFEST = "manifest.json"


def _inside(path: str) -> str:
    if not path.isprintable():
        raise ValueError(f"the path {path!r} has characters that cannot be shown")
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or "\\" in path or ":" in path or any(part in {"..", "."} for part in parts):
        raise ValueError(f"the path {path!r} does not stay inside the bundle")
    return path


InnerPath = Annotated[str, AfterValidator(_inside)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Version = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$")]  # as "1.23": numbers alone can be compared


class FileDigest(Model):
    """Size and SHA-256 of one file."""

    bytes: Bytes
    sha256: Sha256


class ParityRecord(Model):
    """What a chained run showed when the bundle was packed: see tolerances.py for the measure."""

    steps: Annotated[int, Field(ge=1)]
    worst: float
    tensor: str
    tolerance: float


class LossRecord(Model):
    """What a reduced precision lost on held-out data when it was packed; see ``parity/text_loss.py`` for the measures.

    ``allowed`` is the largest relative rise of perplexity that the user, or else the precision, allows; it is absent where
    captions are held to ``allowed_cider_drop`` instead, with ``cider`` the CIDEr-D of greedy captions. ``reference_nats`` and
    ``nats`` are the logarithms of the two perplexities, and what is compared where they are there: a perplexity beyond every
    float64 is written as the largest.
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
        return math.log(self.reference_perplexity) if self.reference_nats is None else self.reference_nats

    @property
    def after(self) -> float:
        """The artifact's mean of -log p, in nats a token."""
        return math.log(self.perplexity) if self.nats is None else self.nats

    @property
    def increase(self) -> float:
        """The relative rise of perplexity; above 0 is worse."""
        return relative_rise(self.before, self.after)

    def is_within(self, allowed: float) -> bool:
        """Return whether the perplexity rises by no more than ``allowed``, but for the rounding of float32."""
        return is_within(self.before, self.after, allowed)

    @property
    def cider_drop(self) -> float | None:
        """The relative drop of CIDEr-D; above 0 is worse."""
        if self.cider is None or self.reference_cider is None:
            return None
        return 1 - self.cider / self.reference_cider if self.reference_cider else 0.0


class Artifact(Model):
    """One exported model file (or folder: then ``sha256`` is that of its listing).

    ``target`` is the opset, the deployment target or the runtime version for which it was written; ``exporter`` names the
    packages that wrote it. ``requires``: package → the lowest version that runs the file, where that is above edgernn's own
    lowest. ``parity`` is absent where the runtime does not exist on the machine that packed. ``weights`` is how each weight
    is stored, read back from the file, where the exporter can tell; ``loss`` what a reduced precision costs.
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


class TokenizerEntry(Model):
    """The tokenizer's file and what must agree with the model.

    ``text`` encodes to ``ids`` (unknown characters left out), so that a host can tell whether its own tokenizer agrees.
    """

    path: InnerPath = "tokenizer.json"
    kind: str
    vocabulary_size: Annotated[int, Field(ge=1)]
    text: str = ""
    ids: tuple[Annotated[int, Field(ge=0)], ...] = ()


class Provenance(Model):
    """Where the model comes from. ``training`` is free-form: corpus, split, losses, steps."""

    edgernn: str
    created: str
    parameters: Annotated[int, Field(ge=1)]
    model: dict[str, Any]
    training: dict[str, Any] = Field(default_factory=dict)


class Manifest(Model):
    """The whole of ``manifest.json``.

    ``files`` lists every file of the bundle but the manifest itself, the artifacts and the reports. ``sampler`` names the
    vectors by which a host checks its random numbers and its sampling.
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

    def file_contract(self, artifact: Artifact) -> FileContract:
        """Return what ``artifact`` must carry in its own metadata."""
        return FileContract(contract=self.contract, graph=artifact.graph, narrowing=artifact.narrowing, decoding=self.decoding)

    def to_json(self) -> str:
        """Return the manifest as it is written."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def parse_manifest(text: str, *, source: str) -> Manifest:
    """Read a manifest; ``source`` names the bundle in errors.

    Raises:
        BundleError: not JSON, another schema version, or a field that is missing or wrong (named).
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{source}: {MANIFEST} is damaged ({error}); copy or export the bundle again") from error
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{source}: {MANIFEST} has schema version {version!r}; this edgernn reads version {SCHEMA_VERSION}. "
            "Export the bundle again with this edgernn, or install the edgernn that wrote it"
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        raise BundleError(f"{source}: {MANIFEST} is damaged: {first_line(error)}; export the bundle again") from error


def json_schema() -> str:
    """Return the JSON Schema of ``manifest.json`` as it ships with the package."""
    return json.dumps(Manifest.model_json_schema(), indent=2) + "\n"
