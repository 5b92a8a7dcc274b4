"""Which pictures of a corpus train a captioner and which measure it: as the caption file says, else
by their names.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from edgernn.data.pictures.caption_formats import TRAIN, VALIDATION
from edgernn.data.pictures.captions import CaptionCorpus, CaptionedPicture
from edgernn.errors import DataError, UsageError
from edgernn.wording import some


def assign_splits(
    corpus: CaptionCorpus, *, validation_fraction: float
) -> tuple[CaptionedPicture, ...]:
    """Return the pictures of a corpus, each with a split; all captions of a picture stay together.

    Splits that the file names are kept. Where it names none, a picture's split comes from the
    SHA-256 of its name, so it depends neither on the order nor on the machine, and new pictures
    leave the old ones where they are. Should all fall on one side, the picture nearest to the other
    side changes.

    Args:
        corpus: what was read.
        validation_fraction: how much is for validation where the file does not say, in (0, 0.5].

    Raises:
        DataError: only some pictures have a split, or there is none for training or none for
            validation.
        UsageError: the fraction is out of range.
    """
    if not 0 < validation_fraction <= 0.5:
        raise UsageError(
            f"the validation fraction is {validation_fraction}; give one above 0 and up to 0.5"
        )
    pictures = corpus.pictures
    without = [picture.name for picture in pictures if picture.split is None]
    if without and len(without) < len(pictures):
        raise DataError(
            f"{len(without)} of {len(pictures)} pictures have no split ({some(without)}); "
            "name one for every picture, or for none"
        )
    if without:
        pictures = _split_by_name(pictures, validation_fraction)
    counts = {
        split: sum(picture.split == split for picture in pictures) for split in (TRAIN, VALIDATION)
    }
    if not all(counts.values()):
        raise DataError(
            f"there are {counts[TRAIN]} pictures for training and {counts[VALIDATION]} for "
            "validation; "
            "each needs one at least: give more pictures or other splits"
        )
    return pictures


def _split_by_name(
    pictures: Sequence[CaptionedPicture], fraction: float
) -> tuple[CaptionedPicture, ...]:
    names = [unicodedata.normalize("NFC", picture.name).encode() for picture in pictures]
    places = [int.from_bytes(hashlib.sha256(name).digest()[:8], "big") for name in names]
    bound = min(max(int(fraction * 2**64), min(places) + 1), max(places))
    return tuple(
        replace(picture, split=VALIDATION if place < bound else TRAIN)
        for picture, place in zip(pictures, places, strict=True)
    )
