"""Pictures with their captions, read from a caption file; and a caption as the ids that a captioner
reads and writes.

    caption file → caption_formats → records → read_captions → assign_splits → picture_set

The caption file says what the pictures are called; they are looked for in one folder and never
outside it.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from edgernn.data.pictures.caption_formats import (
    TRAIN,
    VALIDATION,
    CaptionFile,
    CaptionFormat,
    CaptionRecord,
    recognise,
)
from edgernn.data.text.token_kinds import CAPTION
from edgernn.data.text.tokenizer import Ids, Tokenizer
from edgernn.errors import DataError, UsageError
from edgernn.wording import expected_one_of

PAD_ID, START_ID, END_ID, UNKNOWN_ID = range(4)  # as the token kind "caption" numbers them
OnMissing = Literal["error", "skip"]
_NamesIn = Callable[[Path], dict[str, str]]

_SPECIAL_IDS = (PAD_ID, START_ID, END_ID, UNKNOWN_ID)
_SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".txt", ".token")
_IMAGE_FOLDERS = ("", "images", "Images", "Flicker8k_Dataset")  # the last as Flickr8k spells it
_SHOWN = 3
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
    pictures, missing, names_in = [], [], cache(_names_in)
    for record in merged:
        path = _locate(record, folders, names_in)
        if path is None:
            missing.append(record.image)
        else:
            pictures.append(CaptionedPicture(path, record.captions, record.split, record.image))
    if missing and (on_missing == "error" or not pictures):
        raise DataError(
            f"{len(missing)} of {len(merged)} pictures of {file.path} are missing "
            f"({_some(missing)}); looked in "
            f"{', '.join(str(folder) for folder in folders if folder.is_dir())}. Give the "
            "folder of the pictures, or skip them"
        )
    return CaptionCorpus(tuple(pictures), row.name, tuple(missing), empty, tuple(file.left_out))


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
            f"{len(without)} of {len(pictures)} pictures have no split ({_some(without)}); "
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


def encode_caption(tokenizer: Tokenizer, text: str) -> npt.NDArray[np.int64]:
    """Return the ids of a caption, int64 ``[N]``: ``START_ID``, its words, ``END_ID``; rare words
    are ``UNKNOWN_ID``.

    Raises:
        UsageError: the tokenizer is not of kind caption.
        DataError: the text is no valid Unicode.
    """
    _check_kind(tokenizer)
    return np.concatenate([[START_ID], tokenizer.encode(text), [END_ID]]).astype(np.int64)  # [N]


def caption_text(tokenizer: Tokenizer, ids: Sequence[int] | Ids) -> str:
    """Return the words of ids ``[N]`` up to the first ``END_ID``, one space apart; no special id
    leaves a trace.

    Raises:
        UsageError: the tokenizer is not of kind caption.
        DataError: an id is outside the vocabulary.
    """
    _check_kind(tokenizer)
    array = np.asarray(ids, dtype=np.int64)  # [N]
    ends = np.flatnonzero(array == END_ID)
    words = array[: ends[0]] if ends.size else array
    return tokenizer.decode(words[~np.isin(words, _SPECIAL_IDS)])


def _check_kind(tokenizer: Tokenizer) -> None:
    if tokenizer.kind != CAPTION:
        raise UsageError(
            f"the tokenizer is of kind {tokenizer.kind}, expected {CAPTION}; use the one of "
            "the captioner"
        )


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
        _check_name(file, record)
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


def _check_name(file: CaptionFile, record: CaptionRecord) -> None:
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


def _locate(record: CaptionRecord, folders: Sequence[Path], names_in: _NamesIn) -> Path | None:
    """Find a picture by its name as it is spelled, else by a name that is equal in Unicode (NFC,
    NFD).
    """
    places = [
        (folder, inner)
        for folder in folders
        for inner in (record.image, f"{record.folder}/{record.image}")
    ]
    for folder, inner in places:
        try:
            if (folder / inner.lstrip("/")).is_file():
                return folder / inner.lstrip("/")
        except OSError:  # a name longer than the system allows is a name that no file has
            continue
    if all(part.isascii() for part in (record.image, record.folder)):
        return None  # which has one form
    return next(
        (
            path
            for folder, inner in places
            if (path := _equal_name(folder, inner, names_in)) is not None
        ),
        None,
    )


def _equal_name(folder: Path, inner: str, names_in: _NamesIn) -> Path | None:
    """Return the file below ``folder`` whose path is equal to ``inner`` but for the normal form of
    its characters.
    """
    for part in PurePosixPath(inner.lstrip("/")).parts:
        found = names_in(folder).get(unicodedata.normalize("NFC", part))
        if found is None:
            return None
        folder = folder / found
    return folder if folder.is_file() else None


def _names_in(folder: Path) -> dict[str, str]:
    """Return the names in a folder by their composed form."""
    try:
        return {
            unicodedata.normalize("NFC", path.name): path.name
            for path in sorted(folder.iterdir(), reverse=True)
        }
    except OSError:
        return {}


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


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
