"""Where a captioning run has its pictures and captions from, and what it keeps of them in its
folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from pydantic import Field

from edgernn import storage
from edgernn.contract import Record
from edgernn.data.pictures import scenes
from edgernn.data.pictures.caption_ids import encode_caption, pad_captions
from edgernn.data.pictures.caption_splits import assign_splits
from edgernn.data.pictures.captions import OnMissing, read_captions
from edgernn.data.pictures.picture_decoding import OnUnreadable, encode_corpus
from edgernn.data.pictures.picture_set import PictureSet
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.families.caption_sample import CAPTIONS
from edgernn.families.captioner import IMAGE
from edgernn.models import checkpoint
from edgernn.models.captioner import CaptionerConfig

PICTURES = "pictures"
SCENES = "scenes"
_EVALUATION_PICTURES, _EVALUATION_BYTES = 200, 8 << 20
_TRAINED_SPLITS = ("train", "validation")


class CaptionData(Record):
    """Where pictures and captions come from.

    Attributes:
        source: ``scenes``, or a caption file or a folder that holds one.
        images: the pictures' folder, where it is not the caption file's.
        validation_fraction: share of the pictures, where the file names no splits.
        on_missing, on_unreadable: what to do with pictures that are not there, or that cannot be
            read.
    """

    source: str = SCENES
    images: Path | None = None
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    on_missing: OnMissing = "error"
    on_unreadable: OnUnreadable = "error"


def prepare(
    data: CaptionData,
    out: Path,
    *,
    config: CaptionerConfig,
    minimum_count: int,
    tell: Callable[[str], None],
) -> None:
    """Decode the pictures into the run's folder ``out``, make the vocabulary, and keep a held-out
    sample.

    Raises:
        DataError: pictures or captions are missing, damaged or too few.
    """
    pictures = _pictures(data, out / PICTURES, size=config.image_size, tell=tell)
    tokenizer = Tokenizer.build(_lines(pictures), "caption", minimum_count=minimum_count)
    tokenizer.save(out / checkpoint.TOKENIZER)
    checkpoint.save_evaluation(
        out / checkpoint.EVALUATION, evaluation_sample(pictures, tokenizer, longest=config.length)
    )


def _pictures(
    data: CaptionData, folder: Path, *, size: int, tell: Callable[[str], None]
) -> PictureSet:
    if data.source == SCENES:
        tell(f"drawing {sum(scenes.SPLITS[split] for split in _TRAINED_SPLITS)} scenes")
        drawn = {
            split: scenes.examples(split, scenes.SPLITS[split], size=size)
            for split in _TRAINED_SPLITS
        }
        return PictureSet.write(
            folder,
            {split: (scenes.SPLITS[split], found) for split, found in drawn.items()},
            size=size,
            source=SCENES,
        )
    corpus = read_captions(Path(data.source), images=data.images, on_missing=data.on_missing)
    if corpus.missing:
        shown = ", ".join(corpus.missing[:3])
        tell(f"left out the captions of {len(corpus.missing)} missing pictures: {shown}")
    if corpus.unusable:
        tell(
            f"left out {len(corpus.unusable)} entries that are not usable: "
            f"{'; '.join(corpus.unusable[:3])}"
        )
    if corpus.empty:
        tell(f"left out {corpus.empty} empty captions")
    found = assign_splits(corpus, validation_fraction=data.validation_fraction)
    used = [picture for picture in found if picture.split in _TRAINED_SPLITS]
    source = storage.as_utf8(Path(data.source).resolve().name)
    return encode_corpus(
        used, folder, size=size, source=source, on_unreadable=data.on_unreadable, tell=tell
    )


def _lines(pictures: PictureSet) -> Iterator[str]:
    """The training captions, one a line; a word met in validation alone stays unknown."""
    return (
        f"{caption}\n" for index in pictures.split("train") for caption in pictures.captions[index]
    )


def evaluation_sample(
    pictures: PictureSet, tokenizer: Tokenizer, *, longest: int
) -> dict[str, np.ndarray]:
    """Return the first validation pictures ``image [N, S, S, 3]`` uint8 and their ``captions [N, K,
    T]`` int64.

    As many as fit into 8 MB, at most 200; a picture with fewer than K references has rows of
    padding.
    """
    count = max(1, min(_EVALUATION_PICTURES, _EVALUATION_BYTES // (3 * pictures.size**2)))
    chosen = pictures.split("validation")[:count]
    ids = [
        [encode_caption(tokenizer, text) for text in pictures.captions[index]] for index in chosen
    ]
    most = max(map(len, ids))
    rows = [
        caption for own in ids for caption in (*own, *[np.zeros(0, np.int64)] * (most - len(own)))
    ]
    table = pad_captions(rows, longest)  # [N · K, T]
    images = np.ascontiguousarray(pictures.pictures[chosen.start : chosen.stop])
    return {IMAGE: images, CAPTIONS: table.reshape(len(ids), most, -1)}
