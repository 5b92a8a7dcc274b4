"""A caption file in memory, and what one entry of it says of a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from edgernn.data import encodings
from edgernn.errors import DataError

_ADVICE = "; correct it or leave it out"
E = TypeVar("E")
R = TypeVar("R")


@dataclass(frozen=True)
class CaptionRecord:
    """What one entry of a caption file says of a picture.

    Attributes:
        image: the picture as the file spells it.
        captions: as they stand, perhaps blank.
        split: one of ``SPLITS``, or None where the file names none.
        folder: a folder that may hold the picture, or empty.
        place: where in the file it stands, for errors.
    """

    image: str
    captions: tuple[str, ...]
    split: str | None
    folder: str
    place: str


class CaptionFile:
    """A caption file in memory.

    Attributes:
        path: where it lies.
        text: its content, without a byte order mark, its lines ended by newlines.
        lenient: whether entries that are not usable are left out.
        left_out: what was wrong with those, each with its place.
    """

    def __init__(self, path: Path, *, lenient: bool = False, holds: str = "caption") -> None:
        """Read a file, of which messages say what it ``holds``.

        Raises:
            DataError: it cannot be read or is not UTF-8.
        """
        self.path, self.lenient = path, lenient
        self.left_out: list[str] = []
        try:
            content = path.read_bytes()
            self.text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        except OSError as error:
            raise DataError(
                f"cannot read the {holds}s {path}: {error.strerror}; give a {holds} file"
            ) from error
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise encodings.refuse(
                content, error, name=str(path), place=f"in line {line}"
            ) from error
        if "\0" in self.text:
            raise encodings.refuse(
                content, None, name=str(path), place=f"at offset {content.index(0)}"
            )

    @cached_property
    def json(self) -> Any:
        """The content as one JSON value, or the error that keeps it from being one."""
        return parse(self.text)

    @cached_property
    def first_line(self) -> str:
        """The first line that is not blank, or an empty text."""
        return next((line for _, line in self.lines()), "")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the lines that are not blank, each with its number from 1."""
        for number, line in enumerate(io.StringIO(self.text), start=1):
            if line.strip():
                yield number, line.rstrip("\n")

    def error(self, place: str, problem: str) -> DataError:
        """Return the error that names a place in this file."""
        return DataError(f"{self.path}, {place}: {problem}{_ADVICE}")

    def each(self, entries: Iterable[E], read: Callable[[E], R]) -> Iterator[R]:
        """Yield what ``read`` makes of each entry; leave out those that it refuses, where the file
        is read leniently.
        """
        for entry in entries:
            try:
                yield read(entry)
            except DataError as error:
                if not self.lenient:
                    raise
                self.left_out.append(
                    str(error).removeprefix(f"{self.path}, ").removesuffix(_ADVICE)
                )


def parse(text: str) -> Any:
    """Return ``text`` as one JSON value, or the error that keeps it from being one."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return error
