"""Paths inside a bundle: which are safe on every system, and which two are one file on some of
them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from edgernn.storage.side_files import is_side_file

_MOST_BYTES = 255  # of one name, on the disks of every system
_MOST_PATH_BYTES = 1000
_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE
)  # by Windows
_FORBIDDEN = set('<>"|?*')  # on Windows; backslash and colon are refused as ways out


def checked(path: str) -> str:
    """Return ``path``; raise ValueError where it leaves the folder, or names no file on one of the
    systems.
    """
    if not path.isprintable():
        raise ValueError(f"the path {path!r} has characters that cannot be shown")
    parts = PurePosixPath(path).parts
    outside = (
        path.startswith("/")
        or "\\" in path
        or ":" in path
        or any(part in {"..", "."} for part in parts)
    )
    if not parts or outside:
        raise ValueError(f"the path {path!r} does not stay inside the bundle")
    if "/".join(parts) != path:
        raise ValueError(f"the path {path!r} is not in its shortest form, {'/'.join(parts)!r}")
    if len(path.encode()) > _MOST_PATH_BYTES or any(
        len(part.encode()) > _MOST_BYTES for part in parts
    ):
        raise ValueError(f"the path {path[:40]!r}… is longer than a disk takes")
    if any(
        _RESERVED.fullmatch(part) or part[-1] in " ." or _FORBIDDEN & set(part) for part in parts
    ):
        raise ValueError(f"the path {path!r} has a name that Windows does not take")
    if is_side_file(path):
        raise ValueError(f"the path {path!r} is a name under which systems keep files of their own")
    return path


def clash(paths: Iterable[str]) -> str:
    """Say which two paths are the same file, or one in the other, on a disk that looks at neither
    case nor Unicode form.
    """
    seen: dict[str, str] = {}
    for path in paths:
        if (other := seen.get(_folded(path))) is not None:
            return (
                f"{path!r} stands twice"
                if path == other
                else f"{path!r} and {other!r} are one file on some disks"
            )
        seen[_folded(path)] = path
    for key, path in seen.items():
        above = next((parent for parent in PurePosixPath(key).parents if str(parent) in seen), None)
        if above is not None:
            return f"{path!r} lies in {seen[str(above)]!r}, which is listed as a whole"
    return ""


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
