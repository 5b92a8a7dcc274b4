"""Texts or clips with their labels, split for training: those that are built in, and a file's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgernn.data.examples import TRAIN, VALIDATION
from edgernn.data.labelled import reviews, sensor_events
from edgernn.data.labelled.classes import classes_of, label_ids, split
from edgernn.data.labelled.clips import Clips, read_clips
from edgernn.data.labelled.text_files import LABELLED_SUFFIXES, read_texts
from edgernn.data.labelled.texts import LabelledText
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of

CLIP_SUFFIX = ".npz"
_SEED = 0  # of what is built in, and of the split


@dataclass(frozen=True, eq=False)
class Part:
    """The examples of one split.

    Attributes:
        items: texts, or clips float32 ``[T, F]``.
        target: the place of each label among the classes, int64 ``[N]``.
        places: where each comes from, for messages.
    """

    items: Sequence[str] | Sequence[np.ndarray]
    target: np.ndarray
    places: Sequence[str]


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Labelled examples.

    Attributes:
        source: where they come from, for reports.
        classes: the names of the labels in order.
        parts: ``train`` and ``validation``.
        width: F, the numbers of a frame; 0 where the examples are texts.
    """

    source: str
    classes: list[str]
    parts: dict[str, Part]
    width: int


@dataclass(frozen=True, eq=False)
class _Found:
    """What a file holds; the key of an example is what is equal where two are."""

    source: str
    items: Sequence[str] | Sequence[np.ndarray]
    labels: list[str]
    places: list[str]
    keys: Sequence[Hashable]
    width: int

    def part(self, rows: Sequence[int], classes: Sequence[str]) -> Part:
        """Return some of them as a part."""
        target = label_ids([self.labels[row] for row in rows], classes, source=self.source)
        items: list[str] | list[np.ndarray] = [self.items[row] for row in rows]  # type: ignore[assignment]
        return Part(items, target, [f"{self.source}, {self.places[row]}" for row in rows])


def read_set(
    data: str,
    *,
    text: str | None = None,
    label: str | None = None,
    validation: Path | None = None,
    fraction: float = 0.1,
) -> LabelledSet:
    """Return what ``data`` names.

    Args:
        data: a row of ``BUILT_IN``, or a file: see ``text_files`` and ``clips``.
        text, label: columns of a file of texts; None finds them.
        validation: a file of its own for validation.
        fraction: else the share of the examples of each label.

    Raises:
        DataError, UsageError: the data cannot be read, or do not fit each other; says where.
    """
    if data in BUILT_IN:
        return BUILT_IN[data]()
    suffixes = (*LABELLED_SUFFIXES, CLIP_SUFFIX)
    if Path(data).suffix.lower() not in suffixes:
        known = [*BUILT_IN, *(f"a file of {suffix}" for suffix in suffixes)]
        raise UsageError(f"the examples are {data!r}, {expected_one_of(data, known)}")
    own = _read(Path(data), text, label)
    classes = classes_of(own.labels, source=data, places=own.places)
    if validation is None:
        rows, kept = split(own.labels, own.keys, fraction=fraction, seed=_SEED, source=data)
        other = own
    else:
        other = _read(validation, text, label)
        if other.width != own.width:
            raise DataError(f"{validation} has {_told(other)}, and {data} has {_told(own)}")
        rows, kept = list(range(len(own.labels))), list(range(len(other.labels)))
    drawn = np.random.default_rng(_SEED).permutation(len(kept))  # a file may stand in an order
    parts = {
        TRAIN: own.part(rows, classes),
        VALIDATION: other.part([kept[at] for at in drawn], classes),
    }
    return LabelledSet(Path(data).name, classes, parts, own.width)


def padded(rows: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return arrays ``[T, …]`` of several T as one ``[N, longest, …]``, zeros after each, and the
    T of each, int64 ``[N]``.
    """
    lengths = np.array([len(row) for row in rows], np.int64)
    made = np.zeros((len(rows), int(lengths.max()), *rows[0].shape[1:]), rows[0].dtype)
    for place, row in enumerate(rows):
        made[place, : len(row)] = row
    return made, lengths


def _read(path: Path, text: str | None, label: str | None) -> _Found:
    if path.suffix.lower() == CLIP_SUFFIX:
        clips = read_clips(path)
        places = [f"clip {place}" for place in range(len(clips.frames))]
        keys = [clip.tobytes() for clip in clips.frames]
        return _Found(str(path), clips.frames, clips.labels, places, keys, clips.width)
    rows = read_texts(path, text=text, label=label)
    texts = [row.text for row in rows]
    labels, places = [row.label for row in rows], [row.place for row in rows]
    return _Found(str(path), texts, labels, places, texts, 0)


def _told(found: _Found) -> str:
    return f"frames of {found.width} numbers" if found.width else "texts"


def _reviews() -> LabelledSet:
    def part(split: str) -> Part:
        rows: list[LabelledText] = reviews.reviews(split, reviews.SPLITS[split], seed=_SEED)
        target = label_ids([row.label for row in rows], reviews.LABELS, source="reviews")
        return Part([row.text for row in rows], target, ["a review"] * len(rows))

    parts = {split: part(split) for split in (TRAIN, VALIDATION)}
    return LabelledSet("generated reviews", list(reviews.LABELS), parts, 0)


def _sensor_events() -> LabelledSet:
    classes = list(sensor_events.EVENTS)

    def part(split: str) -> Part:
        clips: Clips = sensor_events.sensor_events(split, sensor_events.SPLITS[split], seed=_SEED)
        target = label_ids(clips.labels, classes, source="sensor events")
        return Part(clips.frames, target, ["a clip"] * len(target))

    parts = {split: part(split) for split in (TRAIN, VALIDATION)}
    return LabelledSet("generated sensor events", classes, parts, sensor_events.WIDTH)


BUILT_IN: dict[str, Callable[[], LabelledSet]] = {
    "reviews": _reviews,
    "sensor-events": _sensor_events,
}
