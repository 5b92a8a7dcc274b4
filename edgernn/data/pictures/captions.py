"""Pictures with their captions, read from a caption file.

    caption file → caption_formats → records → read_captions → caption_splits → picture_set

The caption file says what the pictures are called; they are looked for in one folder and never
outside it.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, get_args

from edgernn.data.pictures.caption_file import CaptionFile, CaptionRecord
from edgernn.data.pictures.caption_formats import CaptionFormat, recognise
from edgernn.data.pictures.picture_search import locate, names_in
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of, some

OnMissing = Literal["error", "skip"]

_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt", ".token")
_IMAGE_FOLDERS = ("", "images", "Images", "Flicker8k_Dataset")  # the last as Flickr8k spells it
_EXPECTED = (
    "give COCO or Karpathy JSON, JSON Lines with image and caption, a Flickr8k token file, "
    "or CSV whose header names image and caption"
)


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture file and what it shows.

    Attributes:
        path: the file.
        captions: one or more, each one line that is not blank.
        split: ``"train"``, ``"validation"``, ``"test"``, or None where nobody has said yet.
        name: the picture as its caption file spells it; the file's name if it is not given.
    """

    path: Path
    captions: tuple[str, ...]
    split: str | None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.path.name)


@dataclass(frozen=True)
class CaptionCorpus:
    """What a caption file holds.

    Attributes:
        pictures: in the order of the file, each one once.
        format: the name of the file's format.
        missing: the pictures left out because no file of that name was found.
        unusable: what was wrong with the entries that were left out, each with its place in the
            file.
        empty: how many captions were blank and left out.
    """

    pictures: tuple[CaptionedPicture, ...]
    format: str
    missing: tuple[str, ...]
    empty: int
    unusable: tuple[str, ...] = ()


def read_captions(
    source: Path, *, images: Path | None = None, on_missing: OnMissing = "error"
) -> CaptionCorpus:
    """Read a caption file and find its pictures.

    Args:
        source: the file, of a format of ``caption_formats``, recognised by its content; or a folder
            that holds exactly one such file (one named ``captions`` goes before the others).
        images: the folder of the pictures; by default that of the caption file, then its subfolders
            ``images``, ``Images`` and ``Flicker8k_Dataset``. In each, the subfolder that a record
            names is looked into as well.
        on_missing: what to do with captions of pictures that are not there, and with entries that
            refer to what is not in the file or lack what they must have: raise, or leave them out.

    Raises:
        DataError: there is no such file, several, or one of no known format; it is damaged; a
            picture lies outside the folder or is missing; or nothing is left.
        UsageError: ``on_missing`` is neither.
    """
    if on_missing not in get_args(OnMissing):
        raise UsageError(
            f"on_missing is {on_missing!r}; {expected_one_of(on_missing, get_args(OnMissing))}"
        )
    if images is not None and not images.is_dir():
        raise DataError(f"there is no folder {images}; give the folder of the pictures")
    file, row = _find(source, lenient=on_missing == "skip")
    merged, empty = _merge(file, row.read(file))
    if not merged:
        unusable = f", {len(file.left_out)} not usable: {file.left_out[0]}" if file.left_out else ""
        raise DataError(
            f"{file.path} has no caption ({empty} are blank{unusable}); give a file with captions"
        )
    folders = [images] if images else [file.path.parent / name for name in _IMAGE_FOLDERS]
    pictures, missing, listed = [], [], cache(names_in)
    for record in merged:
        path = locate(record, folders, listed)
        if path is None:
            missing.append(record.image)
        else:
            pictures.append(CaptionedPicture(path, record.captions, record.split, record.image))
    if missing and (on_missing == "error" or not pictures):
        raise DataError(
            f"{len(missing)} of {len(merged)} pictures of {file.path} are missing "
            f"({some(missing)}); looked in "
            f"{', '.join(str(folder) for folder in folders if folder.is_dir())}; give their "
            "folder by --images, or leave them out by --on-missing skip"
        )
    return CaptionCorpus(tuple(pictures), row.name, tuple(missing), empty, tuple(file.left_out))


def _find(source: Path, *, lenient: bool) -> tuple[CaptionFile, CaptionFormat]:
    """Return the caption file that ``source`` is or holds, and its format."""
    if not source.is_dir():
        file = CaptionFile(source, lenient=lenient)
        return file, _format(file)
    files = sorted(
        path for path in source.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file()
    )
    named = [path for path in files if path.stem.lower() == "captions"]
    found = named or [
        path for path in files if not path.name.startswith(".") and _is_recognised(path)
    ]
    if len(found) != 1:
        names = f"{len(found)}: {', '.join(path.name for path in found)}" if found else "none"
        raise DataError(
            f"the folder {source} must hold exactly one caption file, and has {names}; give "
            "the file itself"
        )
    file = CaptionFile(found[0], lenient=lenient)
    return file, _format(file)


def _is_recognised(path: Path) -> bool:
    try:
        return recognise(CaptionFile(path)) is not None
    except DataError:  # no text, so no captions
        return False


def _format(file: CaptionFile) -> CaptionFormat:
    row = recognise(file)
    if row is not None:
        return row
    if not file.first_line:
        raise DataError(f"{file.path} is empty; give a file with captions")
    fields = _fields_of_lines(file)
    if fields:
        wanted = "image and caption, or file_name and text"
        raise DataError(
            f"{file.path} is JSON Lines with the fields {', '.join(fields)}; expected {wanted}"
        )
    if file.first_line.lstrip().startswith(("{", "[")) and isinstance(file.json, Exception):
        raise DataError(f"{file.path} is damaged JSON: {file.json}; get it again") from file.json
    raise DataError(
        f"{file.path} begins with {file.first_line[:40]!r}, which is no caption format; {_EXPECTED}"
    )


def _fields_of_lines(file: CaptionFile) -> list[str]:
    """Return the fields of the first of several lines that are a JSON object each; none where the
    file is otherwise.
    """
    try:
        records = [json.loads(line) for _, line in islice(file.lines(), 2)]
    except (ValueError, RecursionError):
        return []
    objects = [record for record in records if isinstance(record, dict)]
    return list(objects[0]) if len(objects) > 1 else []


def _merge(file: CaptionFile, records: Iterator[CaptionRecord]) -> tuple[list[CaptionRecord], int]:
    """Join the records of one picture, tidy their captions, and count the blank ones."""
    merged: dict[tuple[str, str], CaptionRecord] = {}
    empty = 0
    for record in records:
        check_name(file, record)
        lines = [" ".join(caption.split()) for caption in record.captions]
        captions = tuple(line for line in lines if line)
        empty += len(lines) - len(captions)
        key = (
            unicodedata.normalize("NFC", record.folder),
            unicodedata.normalize("NFC", record.image),
        )
        known = merged.setdefault(key, replace(record, captions=()))
        if known.split != record.split:
            raise file.error(
                record.place,
                f"{record.image} is in split {record.split}, and in {known.split} before",
            )
        merged[key] = replace(known, captions=known.captions + captions)
    return [record for record in merged.values() if record.captions], empty


def check_name(file: CaptionFile, record: CaptionRecord) -> None:
    """Raise where a picture lies outside its folder, or where a text of the record is none that
    UTF-8 can hold.
    """
    for name in (record.image, record.folder):
        kinds = PurePosixPath(name), PureWindowsPath(name)
        if any(path.anchor or ".." in path.parts for path in kinds) or "\0" in name:
            raise file.error(
                record.place, f"the picture {name!r} lies outside the folder of the pictures"
            )
    if not record.image:
        raise file.error(record.place, "the name of the picture is empty")
    try:
        "".join((record.image, record.folder, *record.captions)).encode()
    except UnicodeEncodeError as error:
        raise file.error(
            record.place, "a text holds half of a surrogate pair, which is no character"
        ) from error
