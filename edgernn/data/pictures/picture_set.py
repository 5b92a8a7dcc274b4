"""Pictures decoded once, with their captions: what training and evaluation read.

    a caption corpus → encode_corpus     ┐
    drawn examples   → PictureSet.write  ┴→ a folder of the files of picture_files → PictureSet.open

Writing streams one picture at a time; opening maps. Neither holds the pictures in memory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from edgernn import storage
from edgernn.data.pictures.picture_files import (
    CHANNELS,
    DESCRIPTION_FILE,
    PICTURES_FILE,
    VERSION,
    map_pictures,
    read_description,
    write_header,
)
from edgernn.errors import DataError, UsageError


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
        return write_set(folder, streams, size=size, source=source)

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


def write_set(
    folder: Path, streams: Mapping[str, Iterable[Example]], *, size: int, source: str
) -> PictureSet:
    """Write a set from one stream of examples a split; errors as ``PictureSet.write``."""
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
