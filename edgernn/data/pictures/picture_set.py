"""Pictures decoded once, with their captions: what training and evaluation read.

    a caption corpus → encode_corpus     ┐
    drawn examples   → PictureSet.write  ┴→ a folder with the two files of picture_files → PictureSet.open

Writing streams one picture at a time; opening maps. Neither holds the pictures in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
import numpy.typing as npt

from edgernn import storage
from edgernn.data.pictures.caption_formats import SPLITS
from edgernn.data.pictures.captions import CaptionedPicture
from edgernn.data.pictures.picture_files import (
    CHANNELS,
    DESCRIPTION_FILE,
    PICTURES_FILE,
    VERSION,
    map_pictures,
    read_description,
    write_header,
)
from edgernn.data.pictures.pictures import load_picture
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of

OnUnreadable = Literal["error", "skip"]
_TOLD_EVERY = 500  # pictures
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Example:
    """One picture of a set.

    Attributes:
        picture: uint8 ``[S, S, 3]``.
        captions: one or more, each one line.
        name: what reports call it.
    """

    picture: npt.NDArray[np.uint8]
    captions: tuple[str, ...]
    name: str


@dataclass(frozen=True, eq=False)
class PictureSet:
    """A set of pictures with captions, read-only.

    Attributes:
        pictures: uint8 ``[N, S, S, 3]``, memory-mapped.
        captions: those of each picture, ``N`` tuples of one or more.
        names: of each picture, ``N``.
        source: where the pictures come from; say it beside every score.
        size: S, the side of a picture in pixels.
        splits: the pictures of each split, as a range of ``N``.
    """

    pictures: npt.NDArray[np.uint8]
    captions: tuple[tuple[str, ...], ...]
    names: tuple[str, ...]
    source: str
    size: int
    splits: Mapping[str, range]

    def split(self, name: str) -> range:
        """Return which pictures belong to a split.

        Raises:
            UsageError: the set has no split of that name.
        """
        if name not in self.splits:
            raise UsageError(
                f"the set of {self.source} has no split {name!r}; it has {', '.join(self.splits)}"
            )
        return self.splits[name]

    @classmethod
    def write(
        cls,
        folder: Path,
        examples: Mapping[str, tuple[int, Iterable[Example]]],
        *,
        size: int,
        source: str,
    ) -> PictureSet:
        """Write a set, whole or not at all, in bounded memory, and open it.

        Args:
            folder: where it goes; an older set there is replaced once the new one is whole.
            examples: for each split, such as ``"train"`` or ``"validation"``, how many there are,
                and they; the splits lie in this order.
            size: S, the side of a picture in pixels.
            source: where the pictures come from.

        Raises:
            DataError: an example cannot be made, or there is none at all.
            StorageError: the folder could not be written; nothing of the attempt is left.
            UsageError: the examples of a split are not as many as promised, one is not of the size
                or has no caption, or the folder holds other files.
        """
        streams = {split: _promised(split, *promise) for split, promise in examples.items()}
        return _write(folder, streams, size=size, source=source)

    @classmethod
    def open(cls, folder: Path) -> PictureSet:
        """Memory-map a set.

        Raises:
            DataError: the folder holds none, or its files are damaged or do not fit each other.
        """
        description = read_description(folder / DESCRIPTION_FILE)
        names, captions, size = description["names"], description["captions"], description["size"]
        return cls(
            pictures=map_pictures(folder / PICTURES_FILE, len(names), size),
            captions=tuple(tuple(each) for each in captions),
            names=tuple(names),
            source=description["source"],
            size=size,
            splits={split: range(*bounds) for split, bounds in description["splits"].items()},
        )


def encode_corpus(
    pictures: Sequence[CaptionedPicture],
    folder: Path,
    *,
    size: int,
    source: str,
    on_unreadable: OnUnreadable = "error",
    tell: Callable[[str], None],
) -> PictureSet:
    """Decode picture files into a set.

    Args:
        pictures: the files with their captions, each with a split.
        folder: as for ``PictureSet.write``.
        size: S, the side of a picture in pixels; pictures are stretched to a square.
        source: where the pictures come from.
        on_unreadable: what to do with a file that cannot be decoded: raise, or leave it out and
            tell how many.
        tell: gets a line of text now and then, and at the end.

    Raises:
        DataError: a picture cannot be decoded, or of a split that has pictures none can.
        StorageError, UsageError: as for ``PictureSet.write``; a picture without a split, or
            ``on_unreadable`` is neither.
        UnavailableError: Pillow is not installed.
    """
    if on_unreadable not in get_args(OnUnreadable):
        raise UsageError(
            f"on_unreadable is {on_unreadable!r}; "
            f"{expected_one_of(on_unreadable, get_args(OnUnreadable))}"
        )
    without = [picture.name for picture in pictures if picture.split not in SPLITS]
    if without:
        raise UsageError(
            f"{len(without)} pictures have no split, such as {without[0]}; assign splits first"
        )
    decoding = _Decoding(len(pictures), size, on_unreadable, tell)
    streams = {}
    for split in SPLITS:
        chosen = [picture for picture in pictures if picture.split == split]
        if chosen:
            streams[split] = decoding.examples(split, chosen)
    made = _write(folder, streams, size=size, source=source)
    tell(decoding.summary())
    return made


@dataclass
class _Decoding:
    """The decoding of a corpus under way: how far it is, and what it had to leave out."""

    total: int
    size: int
    on_unreadable: OnUnreadable
    tell: Callable[[str], None]
    done: int = 0
    unreadable: list[str] = field(default_factory=list)

    def examples(self, split: str, pictures: Sequence[CaptionedPicture]) -> Iterator[Example]:
        skipped_before = len(self.unreadable)
        for picture in pictures:
            example = self._example(picture)
            self.done += 1
            if self.done % _TOLD_EVERY == 0:
                self.tell(f"{self.done:,} of {self.total:,} pictures decoded")
            if example is not None:
                yield example
        if len(self.unreadable) - skipped_before == len(pictures):
            raise DataError(
                f"none of the {len(pictures)} pictures for {split} can be decoded "
                f"({self._named()}); give others"
            )

    def _example(self, picture: CaptionedPicture) -> Example | None:
        try:
            return Example(load_picture(picture.path, self.size), picture.captions, picture.name)
        except DataError:
            if self.on_unreadable == "error":
                raise
            self.unreadable.append(picture.name)
            return None

    def summary(self) -> str:
        text = f"{self.total - len(self.unreadable):,} pictures decoded"
        return (
            f"{text}, {len(self.unreadable):,} left out that cannot be: {self._named()}"
            if self.unreadable
            else text
        )

    def _named(self) -> str:
        return ", ".join(self.unreadable[:_SHOWN]) + (
            ", ..." if len(self.unreadable) > _SHOWN else ""
        )


def _promised(split: str, count: int, examples: Iterable[Example]) -> Iterator[Example]:
    """Yield the examples of a split; raise at the end if they are not ``count``."""
    seen = 0
    for example in islice(examples, max(count, 0) + 1):
        seen += 1
        yield example
    if seen != count:
        more = " or more" if seen > count else ""
        raise UsageError(
            f"split {split} has {seen} pictures{more}, but {count} were promised; give the "
            "true count"
        )


def _write(
    folder: Path, streams: Mapping[str, Iterable[Example]], *, size: int, source: str
) -> PictureSet:
    if size < 1:
        raise UsageError(f"a picture of {size} pixels a side makes no sense; give 1 or more")
    _refuse_foreign_files(folder)
    with storage.replacing(folder) as temporary:
        temporary.mkdir()
        with (temporary / PICTURES_FILE).open("wb") as file:
            description = _write_pictures(file, streams, size)
            os.fsync(file.fileno())
        text = json.dumps({"version": VERSION, "size": size, "source": source, **description})
        (temporary / DESCRIPTION_FILE).write_text(text + "\n", "utf-8")
    return PictureSet.open(folder)


def _write_pictures(
    file: BinaryIO, streams: Mapping[str, Iterable[Example]], size: int
) -> dict[str, Any]:
    """Write the pictures one after the other, then the count into the header, and return what
    describes them.

    A plain file rather than a map of one: where the disk is full, writing to a map kills the
    process.
    """
    names: list[str] = []
    captions: list[tuple[str, ...]] = []
    splits = {}
    write_header(file, 0, size)
    for split, examples in streams.items():
        first = len(names)
        for example in examples:
            _check_example(example, size)
            file.write(example.picture.tobytes())
            names.append(example.name)
            captions.append(example.captions)
        splits[split] = [first, len(names)]
    if not names:
        raise DataError("there is no picture to write; give one at least")
    file.seek(0)
    write_header(file, len(names), size)  # of the same length: numpy leaves room for any count
    return {"splits": splits, "names": names, "captions": captions}


def _check_example(example: Example, size: int) -> None:
    expected = (size, size, CHANNELS)
    if example.picture.dtype != np.uint8 or example.picture.shape != expected:
        raise UsageError(
            f"the picture {example.name} is {example.picture.dtype} {list(example.picture.shape)}, "
            f"expected uint8 {list(expected)}"
        )
    if not example.captions or not all(example.captions):
        raise UsageError(f"the picture {example.name} has no caption or an empty one; leave it out")


def _refuse_foreign_files(folder: Path) -> None:
    """Raise rather than replace a folder that holds anything but a set."""
    others = (
        {path.name for path in folder.iterdir()} - {PICTURES_FILE, DESCRIPTION_FILE}
        if folder.is_dir()
        else set()
    )
    if others:
        raise UsageError(
            f"the folder {folder} holds other files ({min(others)}); give a new or an empty folder"
        )
