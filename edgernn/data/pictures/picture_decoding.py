"""The picture files of a caption corpus, decoded once into a ``PictureSet``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from edgernn.data.pictures.caption_formats import SPLITS
from edgernn.data.pictures.captions import CaptionedPicture
from edgernn.data.pictures.picture_set import Example, PictureSet, write_set
from edgernn.data.pictures.pictures import load_picture
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of, some

OnUnreadable = Literal["error", "skip"]
_TOLD_EVERY = 500  # pictures


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
    made = write_set(folder, streams, size=size, source=source)
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
                f"({some(self.unreadable)}); give others"
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
            f"{text}, {len(self.unreadable):,} left out that cannot be: {some(self.unreadable)}"
            if self.unreadable
            else text
        )
