"""The parts of ``manifest.json``: digests, artifacts and what was measured of them, the tokenizer's
entry, where the model comes from.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from edgernn.bundle.nats import FLOAT16_ROUNDING, is_within, relative_rise
from edgernn.bundle.stored_weights import StoredWeight
from edgernn.contract import STEP, Count, GraphWord, Narrowing, Record, Size
from edgernn.storage.inner_paths import checked

FamilyWord = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
InnerPath = Annotated[str, AfterValidator(checked)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0, lt=1 << 53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# as "1.23": numbers alone can be compared
Version = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,3}$")]


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
    ``families/loss.py`` for the measures.

    ``allowed`` is the largest relative rise of perplexity that the user, or else the precision,
    allows; it is absent where captions are held to ``allowed_cider_drop`` instead, with ``cider``
    the CIDEr-D of greedy captions. ``reference_nats`` and ``nats`` are the logarithms of the two
    perplexities, and what is compared where they are there: a perplexity beyond every float64 is
    written as the largest. ``reference_accuracy`` and ``accuracy`` are the shares of positions
    where the most probable id is the wanted one.
    """

    tokens: Annotated[int, Field(ge=1)]
    reference_perplexity: Annotated[Finite, Field(gt=0)]
    perplexity: Annotated[Finite, Field(gt=0)]
    mean_kl: Finite
    top1: Finite
    reference_nats: Finite | None = None
    nats: Finite | None = None
    reference_accuracy: Finite | None = None
    accuracy: Finite | None = None
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


class OutputLossRecord(Record):
    """What a reduced precision lost on recorded inputs when it was packed, of a model that writes
    no text; see ``families/module.py`` for the measures.

    ``error`` is the relative root mean square error of ``output``, the one that is furthest off,
    over a chained run of ``steps``. ``mean_kl`` and ``top1`` are there where an output is scores
    of ids.
    """

    steps: Annotated[int, Field(ge=1)]
    error: Annotated[Finite, Field(ge=0)]
    output: str
    mean_kl: Finite | None = None
    top1: Finite | None = None


class Library(Record):
    """A file that was built of an artifact's C for a target: a library, a wasm module, an object.

    ``files`` of the manifest has its digest. ``compiler`` built it, with its version; the same one
    gives the same bytes, but for ``host``, which is whatever machine packed it.
    """

    target: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    path: InnerPath
    compiler: str = ""


class Artifact(Record):
    """One exported model file (or folder: then ``sha256`` is that of its listing).

    ``target`` is the opset, the deployment target or the runtime version for which it was written;
    ``exporter`` names the packages that wrote it. ``requires``: package → the lowest version that
    runs the file, where that is above edgernn's own lowest. ``parity`` is absent where the runtime
    does not exist on the machine that packed. ``weights`` is how each weight is stored, read back
    from the file, where the exporter can tell; ``loss`` what a reduced precision costs, or
    ``output_loss`` of a model that writes no text.

    ``tolerance`` is what a replay of the golden run may differ by: the largest scaled difference
    of the chained run, or where ``forced`` the relative RMS error of single steps, each started
    from the recorded state. Older bundles have neither. ``libraries`` is what was built of it,
    where it is C. ``portable`` says that an ONNX file has no operator of a vendor's domain, and
    none that some runtime computes otherwise without a word; absent where that was not asked for.
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
    output_loss: OutputLossRecord | None = None
    tolerance: Annotated[Finite, Field(gt=0)] | None = None
    forced: bool = False
    libraries: tuple[Library, ...] | None = None
    portable: bool | None = None


class TokenizerEntry(Record):
    """The tokenizer's file and what must agree with the model.

    ``text`` encodes to ``ids`` (unknown characters left out), so that a host can tell whether its
    own tokenizer agrees. ``tokens_sha256`` vouches for every token, ``rules_sha256`` for how text
    is cut and joined; see ``data/text/vocabulary_digest.py``. Older bundles have neither.
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
