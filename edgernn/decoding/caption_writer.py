"""Captions from a bundle: open both graphs once, then one call per picture file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgernn.bundle import Bundle
from edgernn.bundle.manifest import Artifact
from edgernn.contract import ATTENTION, ENCODE, HEIGHT, STEP
from edgernn.data.pictures.captions import caption_text
from edgernn.data.pictures.pictures import open_picture, to_array
from edgernn.decoding.beam import Hypothesis
from edgernn.decoding.captions import CaptionSessions, sample_caption, search_caption
from edgernn.decoding.sampling import Sampler
from edgernn.decoding.writer import open_tokenizer
from edgernn.errors import UsageError
from edgernn.sessions.opening import encoder_of, first_that_runs, open_artifact
from edgernn.wording import argument

_SHOWN_PIXELS = 512  # more than a panel of an attention map shows


@dataclass(frozen=True, eq=False)
class Caption:
    """A caption of one picture.

    Attributes:
        text: the words, one space apart.
        hypothesis: ids, log-probability, score, and what the step graph gave beside the logits.
        attention: ``[N, R]``, where the model looked for each of the N words, each row summing to
            1; None without attention.
        picture: uint8 ``[H, W, 3]``, the picture upright and in its own proportions, of at most 512
            pixels a side; the model saw the whole of it, stretched to a square.
    """

    text: str
    hypothesis: Hypothesis
    attention: np.ndarray | None
    picture: np.ndarray

    def to_record(self) -> dict[str, Any]:
        """Return what a line of JSON says of it."""
        found = self.hypothesis
        return {
            "caption": self.text,
            "score": found.score,
            "log_probability": found.log_probability,
            "finished": found.finished,
        }


class CaptionWriter:
    """A captioner bundle, opened; a context manager.

    Args:
        source: a bundle.
        artifact: the step file to use, by its path or its format; default the first that runs here.

    Attributes:
        artifact: the step file in use.
        has_attention: whether captions say where the model looked.

    Raises:
        BundleError, ContractError, UnavailableError: see errors.py.
        UsageError: the bundle is no captioner, or has no such step file.
    """

    def __init__(self, source: Path, *, artifact: str | None = None) -> None:
        self._bundle = Bundle.open(source)
        if self._bundle.manifest.contract.encode is None:
            raise UsageError(
                f"{source} is a language model, it sees no pictures; use: edgernn generate "
                f"{argument(source)}"
            )
        self.artifact, self.sessions = open_captioner(self._bundle, artifact)
        self._tokenizer = open_tokenizer(self._bundle)
        self._decoding, self._sizes = (
            self._bundle.manifest.decoding_defaults,
            self._bundle.manifest.contract.sizes,
        )
        self.has_attention = any(
            spec.name == ATTENTION for spec in self._bundle.manifest.contract.step.read_outputs
        )

    def __enter__(self) -> CaptionWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bundle.__exit__(kind, error, trace)

    def write(
        self, path: Path, *, beam: int = 3, sampler: Sampler | None = None, seed: int = 0
    ) -> Caption:
        """Write the caption of the picture file ``path``: by beam search, or at random where
        ``sampler`` is given.

        Raises:
            DataError: the file is missing or is no picture that can be read.
        """
        picture = open_picture(path)
        image = to_array(picture, self._sizes[HEIGHT])[None]  # [1, S, S, 3]
        if sampler is None:
            found = search_caption(self.sessions, image, self._decoding, beam=beam)
        else:
            found = sample_caption(self.sessions, image, self._decoding, sampler=sampler, seed=seed)
        picture.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        return Caption(
            caption_text(self._tokenizer, found.tokens),
            found,
            found.outputs.get(ATTENTION),
            np.array(picture),
        )


def open_captioner(bundle: Bundle, artifact: str | None = None) -> tuple[Artifact, CaptionSessions]:
    """Open a step file of ``bundle`` and the encode file that goes with it; arguments and errors as
    ``CaptionWriter``.
    """
    if artifact is None:
        step, session = first_that_runs(bundle)
    else:
        step = bundle.artifact(artifact)
        if step.graph == ENCODE:
            raise UsageError(
                f"{step.path} encodes pictures; choose a step file, the encode file beside it "
                "is found by itself"
            )
        if step.graph != STEP:
            raise UsageError(
                f"{step.path} writes whole captions by itself, in one call of "
                "edgernn.open_session; choose a step file"
            )
        session = open_artifact(bundle, step)
    return step, CaptionSessions(open_artifact(bundle, encoder_of(bundle, step)), session)
