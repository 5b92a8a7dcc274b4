"""Captions from a bundle: open both graphs once, then one call per file of a picture, or of
features of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgernn.contract import HEIGHT
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.data.pictures.pictures import open_picture, pictures_in, to_array
from edgernn.decoding.beam import Hypothesis
from edgernn.decoding.captions import sample_caption, search_caption
from edgernn.decoding.sampling import Sampler
from edgernn.errors import DataError
from edgernn.sessions.base import Arrays
from edgernn.writing.features import FEATURE_SUFFIXES, read_features
from edgernn.writing.opened import Opened
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
            pixels a side; the model saw the whole of it, stretched to a square. None where the
            model sees features.
    """

    text: str
    hypothesis: Hypothesis
    attention: np.ndarray | None
    picture: np.ndarray | None

    def to_record(self) -> dict[str, Any]:
        """Return what a line of JSON says of it; attention where there is no picture to draw it
        on.
        """
        found = self.hypothesis
        record = {
            "caption": self.text,
            "score": found.score,
            "log_probability": found.log_probability,
            "finished": found.finished,
        }
        if self.picture is None and self.attention is not None:
            record["attention"] = self.attention.tolist()
        return record


class CaptionWriter(Opened):
    """A captioner bundle, opened; see ``Opened``.

    Attributes:
        sessions: the model, opened.
        has_attention: whether captions say where the model looked.
        sees_pictures: whether it is given pictures; else features of them.
    """

    command = "caption"

    def _ready(self) -> None:
        """See ``Opened``."""
        contract = self._bundle.manifest.contract
        self._tokenizer = open_tokenizer(self._bundle)
        self._decoding = self._bundle.manifest.decoding_defaults
        self._attention = contract.step.attention
        self._contract, self.sessions = contract, self._model
        self.has_attention = self._attention is not None
        self.sees_pictures = contract.encode is not None and contract.encode.unit == "picture"

    def files_in(self, folder: Path) -> list[Path]:
        """Return the files below ``folder`` that may be captioned, told by their endings."""
        if self.sees_pictures:
            return pictures_in(folder)
        files = (path for path in sorted(folder.rglob("*")) if not path.name.startswith("."))
        return [path for path in files if path.suffix.lower() in FEATURE_SUFFIXES]

    def write(
        self, path: Path, *, beam: int = 3, sampler: Sampler | None = None, seed: int = 0
    ) -> Caption:
        """Write the caption of the file ``path``, a picture or the features of one: by beam search,
        or at random where ``sampler`` is given.

        Raises:
            DataError: the file is missing, or is no picture that can be read; or it does not hold
                the features of one picture.
        """
        found = self.write_all(path, beam=beam, sampler=sampler, seed=seed)
        if len(found) != 1:
            raise DataError(f"{path} has features of {len(found)} pictures, expected of one")
        return found[0]

    def write_all(
        self, path: Path, *, beam: int = 3, sampler: Sampler | None = None, seed: int = 0
    ) -> list[Caption]:
        """Write the captions of the file ``path``: of its picture, or of each row of its features;
        see ``features.read_features``.

        Raises:
            DataError: the file is missing, damaged or of another kind; or it holds other features.
        """
        if not self.sees_pictures:
            rows = read_features(path, self._contract)
            return [self._write(row, None, beam=beam, sampler=sampler, seed=seed) for row in rows]
        picture = open_picture(path)
        side = self._contract.sizes[HEIGHT]  # of the picture, which is square
        seen = self.sessions.seen(to_array(picture, side)[None])  # [1, S, S, 3]
        picture.thumbnail((_SHOWN_PIXELS, _SHOWN_PIXELS))
        shown = np.array(picture)
        return [self._write(seen, shown, beam=beam, sampler=sampler, seed=seed)]

    def _write(
        self,
        seen: Arrays,
        picture: np.ndarray | None,
        *,
        beam: int,
        sampler: Sampler | None,
        seed: int,
    ) -> Caption:
        if sampler is None:
            found = search_caption(self.sessions, seen, self._decoding, beam=beam)
        else:
            found = sample_caption(self.sessions, seen, self._decoding, sampler=sampler, seed=seed)
        return Caption(
            caption_text(self._tokenizer, found.tokens, self._decoding),
            found,
            found.outputs[self._attention.name] if self._attention else None,
            picture,
        )
