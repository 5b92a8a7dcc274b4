"""Where a picture lies that a caption file names: below one of some folders, spelled so or equal in
Unicode.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from edgernn.data.pictures.caption_file import CaptionRecord

_NamesIn = Callable[[Path], dict[str, str]]


def locate(record: CaptionRecord, folders: Sequence[Path], names_in: _NamesIn) -> Path | None:
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


def names_in(folder: Path) -> dict[str, str]:
    """Return the names in a folder by their composed form."""
    try:
        return {
            unicodedata.normalize("NFC", path.name): path.name
            for path in sorted(folder.iterdir(), reverse=True)
        }
    except OSError:
        return {}
