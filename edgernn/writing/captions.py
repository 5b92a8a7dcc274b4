"""Captions from a bundle: open both graphs once, then one call per picture file."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgernn.bundle import Bundle
from edgernn.contract import HEIGHT
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.data.pictures.pictures import open_picture, to_array
from edgernn.decoding.beam import Hypothesis
from edgernn.decoding.captions import sample_caption, search_caption
from edgernn.decoding.sampling import Sampler
from edgernn.sessions.model import choose_model
from edgernn.writing.command import refuse_other
from edgernn.writing.text import open_tokenizer

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
        source: the path of a bundle, or an opened one, which stays open.
        artifact: the step file to use, by its path or its format; default the first that runs here.

    Attributes:
        artifact: the step file in use.
        sessions: the model, opened.
        has_attention: whether captions say where the model looked.

    Raises:
        BundleError, ContractError, UnavailableError: see errors.py.
        UsageError: the bundle is no captioner, or has no such step file.
    """

    def __init__(self, source: Path | str | Bundle, *, artifact: str | None = None) -> None:
        opened = nullcontext(source) if isinstance(source, Bundle) else Bundle.open(source)
        self._opened: AbstractContextManager[Bundle] = opened
        self._bundle = opened.__enter__()
        refuse_other(self._bundle, "caption")
        contract = self._bundle.manifest.contract
        self.artifact, self.sessions = choose_model(self._bundle, artifact)
        self._tokenizer = open_tokenizer(self._bundle)
        self._decoding = self._bundle.manifest.decoding_defaults
        self._attention = contract.step.attention
        self._side = contract.sizes[HEIGHT]  # of the picture, which is square
        self.has_attention = self._attention is not None

    def __enter__(self) -> CaptionWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, trace)

    def write(
        self, path: Path, *, beam: int = 3, sampler: Sampler | None = None, seed: int = 0
    ) -> Caption:
        """Write the caption of the picture file ``path``: by beam search, or at random where
        ``sampler`` is given.

        Raises:
            DataError: the file is missing or is no picture that can be read.
        """
        picture = open_picture(path)
        image = to_array(picture, self._side)[None]  # [1, S, S, 3]
        if sampler is None:
            found = search_caption(self.sessions, image, self._decoding, beam=beam)
        else:
            found = sample_caption(self.sessions, image, self._decoding, sampler=sampler, seed=seed)
        picture.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        return Caption(
            caption_text(self._tokenizer, found.tokens),
            found,
            found.outputs[self._attention.name] if self._attention else None,
            np.array(picture),
        )
