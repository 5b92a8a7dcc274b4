"""Where a tagger's sequences come from: what is built in, or one's own; and which of them are for
validation.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from edgernn.data.clips import drawn, sentences
from edgernn.data.clips.reading import read_tagged
from edgernn.data.clips.tagged import Tagged, TaggedFrames, TaggedWords
from edgernn.errors import DataError, UsageError
from edgernn.wording import did_you_mean

CLIPS, SENTENCES = "clips", "sentences"  # what is built in
_FEWEST_WHOLE = 10  # sequences, of which whole ones are kept for validation
_SEED = 0  # of what is built in, and of which sequences are kept


class TagData(BaseModel):
    """What a tagger is trained on.

    Attributes:
        data: ``clips``, ``sentences``, or a path as ``read_tagged`` takes it.
        validation: a path of sequences of their own to validate on.
        validation_fraction: else the share of the sequences that is kept for it.
        size: S, to which the pictures of a folder are resized.
        longest: longer sequences are cut into pieces of at most so many steps.
        minimum_count: the fewest occurrences of a word that is known.
    """

    data: str = CLIPS
    validation: Path | None = None
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    size: int | None = Field(default=None, ge=4, le=256)
    longest: int = Field(default=64, ge=2, le=10_000)
    minimum_count: int = Field(default=2, ge=1)


def sequences_of(data: TagData) -> tuple[Tagged, Tagged]:
    """Return the sequences to train on, and those to validate on.

    Raises:
        DataError: they are missing, damaged or too few, or of two kinds; says where.
        UsageError: options that do not go with what is there.
    """
    if data.data in (CLIPS, SENTENCES):
        if data.validation is not None or data.size is not None:
            given = "--validation" if data.validation is not None else "--size"
            raise UsageError(f"{given} is for data of your own, and {data.data} is built in")
        return tuple(_built_in(data.data, split) for split in ("train", "validation"))  # type: ignore[return-value]
    if not Path(data.data).exists():
        near = did_you_mean(data.data, (CLIPS, SENTENCES))
        raise DataError(
            f"there is no file or folder {data.data}; give one, or {CLIPS} or {SENTENCES}, which "
            f"are built in{near}"
        )
    found = read_tagged(Path(data.data), side=data.size)
    if data.validation is None:
        train, kept = _split(found, data)
    else:
        train, kept = found, read_tagged(data.validation, side=data.size)
    if type(train) is not type(kept):
        raise DataError(
            f"{train.source} holds {_told(train)} and {kept.source} {_told(kept)}; give two of one "
            "kind"
        )
    _refuse_mixed(train, kept)
    return train.cut(data.longest), kept.cut(data.longest)


def _built_in(name: str, split: str) -> Tagged:
    if name == CLIPS:
        count = drawn.SPLITS[split]
        frames, events = drawn.make_clips(split, count, seed=_SEED)
        named = (tuple(drawn.EVENTS[event] for event in row) for row in events)
        return TaggedFrames(f"{count} drawn clips", tuple(frames), tuple(named))
    count = sentences.SPLITS[split]
    made = sentences.make_sentences(split, count, seed=_SEED)
    words, tags = ([tuple(pair[at] for pair in row) for row in made] for at in (0, 1))
    return TaggedWords(f"{count} generated sentences", tuple(words), tuple(tags))


def _split(found: Tagged, data: TagData) -> tuple[Tagged, Tagged]:
    """Return the sequences to train on and those to validate on: whole ones at random, or where
    there are few, the last pieces.
    """
    whole = len(found.labels) >= _FEWEST_WHOLE
    parts = found if whole else found.cut(data.longest)
    count = len(parts.labels)
    if count < 2:
        raise DataError(
            f"{found.source} has one sequence of {found.steps} steps; give two or more, or one "
            f"of more than {data.longest}, which is cut into pieces (--longest)"
        )
    kept = max(1, round(data.validation_fraction * count))
    order = np.random.default_rng(_SEED).permutation(count) if whole else np.arange(count)
    return parts.take(sorted(order[:-kept].tolist())), parts.take(sorted(order[-kept:].tolist()))


def _refuse_mixed(train: Tagged, kept: Tagged) -> None:
    """Raise DataError where frames are of two sizes."""
    if not isinstance(train, TaggedFrames):
        return
    wanted = train.sequences[0].shape[1:]
    for part in (train, kept):
        for place, clip in enumerate(part.sequences):
            if clip.shape[1:] != wanted:
                raise DataError(
                    f"{part.source}, clip {place + 1}: its frames are {list(clip.shape[1:])}, the "
                    f"first clip's {list(wanted)}; make all of one size"
                )


def _told(found: Tagged) -> str:
    return "clips of frames" if isinstance(found, TaggedFrames) else "sentences of words"
