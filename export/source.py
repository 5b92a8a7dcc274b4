"""What the artifacts of a bundle are made from: a model, what is asked of it, what judges it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from edgernn.contract import TOKENS, Contract, Decoding, FileContract
from edgernn.errors import DataError, UsageError
from edgernn.export.operators import Operators
from edgernn.export.rounding.calibration import feeds_from
from edgernn.export.rounding.compression import Budget, Feeds
from edgernn.families.base import Family
from edgernn.families.table import family_of
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.eager import EagerSession
from edgernn.sessions.base import Session
from edgernn.sessions.model import Model, model_of

Tell = Callable[[str], None]
MOST_SIZE = 1 << 20  # of an axis that --axis fixes
_FEWEST_CALIBRATION_TOKENS, _MOST_CALIBRATION_TOKENS = 64, 4096


@dataclass(frozen=True)
class ReducedOptions:
    """What a user may ask of the files beside their formats and precisions.

    Attributes:
        block_size: how many weights share a scale; None takes the precision's own.
        budget: how much may be lost.
        calibration: a text to calibrate on, instead of the end of the held-out sample.
        allow_float: keep a file whose weights were not all rounded as asked.
        prefix: what every name of generated C begins with; None takes the format's own.
        streams: how many sequences a file goes over in one call, of formats whose files take a
            fixed number of them.
        operators: which operators the files of onnx have, and in which versions.
        axes: axis that the contract leaves open → the size that files of fixed sizes take.

    Raises:
        UsageError: ``streams`` is less than 1; the most is each format's own.
    """

    block_size: int | None = None
    budget: Budget = field(default_factory=Budget)
    calibration: str | None = None
    allow_float: bool = False
    prefix: str | None = None
    streams: int = 1
    operators: Operators = field(default_factory=Operators)
    axes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.streams < 1:
            raise UsageError(f"--streams is {self.streams}, expected 1 or more")


def sizes_of(text: str | None) -> dict[str, int]:
    """Return what ``--axis`` says, axis → size; raise UsageError where it is no such list."""
    sizes = {}
    for part in (text or "").split(","):
        name, _, number = part.strip().partition("=")
        if text is None:
            continue
        fits = number.isdecimal() and len(number) <= len(str(MOST_SIZE))
        if not name or not fits or not 1 <= int(number) <= MOST_SIZE:
            raise UsageError(
                f"--axis is {text!r}, expected an axis and its size, 1 to {MOST_SIZE:,}, as "
                "source=24"
            )
        if name in sizes:
            raise UsageError(f"--axis is {text!r}, which gives {name} two sizes; give it one")
        sizes[name] = int(number)
    return sizes


@dataclass(frozen=True, eq=False)
class Source:
    """What artifacts are made from: a checkpoint, and the reference that judges them."""

    loaded: Checkpoint
    options: ReducedOptions
    steps: int
    tell: Tell = field(default=lambda line: None)

    @property
    def family(self) -> Family:
        """What kind of model it is."""
        return family_of(self.loaded.model.family)

    @cached_property
    def contract(self) -> Contract:
        """The model's contract."""
        return self.loaded.model.config.contract()

    @cached_property
    def decoding(self) -> Decoding | None:
        """How a host writes with the model."""
        return self.loaded.model.config.decoding(self.loaded.tokenizer)

    @cached_property
    def reference(self) -> Model:
        """The model itself, opened as it is."""

        def session_of(graph: str) -> Session:
            own = FileContract(contract=self.contract, graph=graph, decoding=self.decoding)
            if self.loaded.model.own_file is None:
                return EagerSession(self.loaded.model, own)
            from edgernn.export.own_file import open_own_file

            return open_own_file(self.loaded.model, own)

        return model_of(self.contract, session_of)

    @cached_property
    def feeds(self) -> Feeds | None:
        """What gives the calibration data; raises UsageError or DataError for a text that the model
        cannot read.
        """
        text = self.options.calibration
        if text is None:
            return feeds_from(self.family, self.reference, self.loaded.evaluation)
        if self.family.writes != "text":
            raise UsageError(
                f"the {self.family.noun} is calibrated on its held-out sample; leave the "
                "calibration text out"
            )
        try:
            tokens = self.loaded.text_tokenizer.encode(text)[:_MOST_CALIBRATION_TOKENS]
        except DataError as error:
            reason = str(error).split(". ")[0]
            raise DataError(
                f"the calibration text is of another alphabet: {reason}. Give one that the "
                "model can read"
            ) from error
        if len(tokens) < _FEWEST_CALIBRATION_TOKENS:
            raise UsageError(
                f"the calibration text has {len(tokens)} tokens, expected "
                f"{_FEWEST_CALIBRATION_TOKENS} or more"
            )
        return lambda: self.family.calls(self.reference, {TOKENS: tokens})
