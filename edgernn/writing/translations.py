"""Translations from a bundle: open both graphs once, then one call a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.data.pairs.pair_ids import source_ids
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.data.text.tokenizer import OnUnknown
from edgernn.decoding.beam import Hypothesis
from edgernn.decoding.captions import search_caption
from edgernn.errors import DataError
from edgernn.writing.opened import Opened
from edgernn.writing.text import open_tokenizer

_WIDEST = 1000  # beams


@dataclass(frozen=True, eq=False)
class Translation:
    """The translation of one text.

    Attributes:
        source: as the model read it.
        text: what it wrote.
        hypothesis: ids, log-probability, score, and what the step graph gave beside the logits.
        attention: ``[N, S]``, where the model looked for each of the N characters that it wrote,
            each row summing to 1; None without attention.
    """

    source: str
    text: str
    hypothesis: Hypothesis
    attention: np.ndarray | None

    def to_record(self) -> dict[str, Any]:
        """Return what a line of JSON says of it."""
        found = self.hypothesis
        return {
            "source": self.source,
            "translation": self.text,
            "score": found.score,
            "log_probability": found.log_probability,
            "finished": found.finished,
        }


class TranslationWriter(Opened):
    """A translator's bundle, opened; see ``Opened``.

    Attributes:
        has_attention: whether translations say where the model looked.
    """

    command = "translate"

    def _ready(self) -> None:
        """See ``Opened``."""
        manifest = self._bundle.manifest
        self._tokenizer = open_tokenizer(self._bundle)
        self._decoding = manifest.decoding_defaults
        self._attention = manifest.contract.step.attention
        self.has_attention = self._attention is not None

    def write(self, text: str, *, beam: int = 1, on_unknown: OnUnknown = "error") -> Translation:
        """Write the translation of a text: greedily, or by a beam search.

        Args:
            text: to read; white space around it is left out.
            beam: beams of the search; 1 is greedy.
            on_unknown: see ``Tokenizer.encode``.

        Raises:
            DataError: the text is empty, or has a character that the model lacks, or one that
                stands for padding, a start or an end.
            UsageError: it is longer than the file takes.
        """
        ids = source_ids(self._tokenizer, text.strip(), on_unknown=on_unknown)
        if not len(ids):
            raise DataError(
                f"the text {text!r} has no character that the model knows; give another text"
            )
        seen = self._model.seen(ids[None])  # [1, S]
        found = search_caption(self._model, seen, self._decoding, beam=min(beam, _WIDEST))
        looked = None
        if self._attention is not None:  # a file of a fixed size is padded
            looked = found.outputs[self._attention.name]  # [N, 1, S]; nothing may be written
            looked = looked.reshape(len(found.tokens), looked.shape[-1])[:, : len(ids)]
        written = caption_text(self._tokenizer, found.tokens, self._decoding)
        return Translation(self._tokenizer.decode(ids), written, found, looked)
