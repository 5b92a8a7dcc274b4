"""Files as they are read: plain ones only, no further than they may be long; their size and
SHA-256.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import BinaryIO

from edgernn.storage.side_files import is_side_file

_READ_BYTES = 1 << 20


def size_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder but those of ``side_files``."""
    if path.is_dir():
        return sum((path / file).stat().st_size for file in _listed(path))
    return path.stat().st_size


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of its listing.

    The listing has one line per file, sorted by path: the file's SHA-256, two spaces, its path with
    ``/`` relative to the folder, a newline: what ``sha256sum`` prints. What ``side_files`` names is
    left out.
    """
    if path.is_dir():
        listing = "".join(f"{sha256(path / file)}  {file}\n" for file in _listed(path))
        return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
    digest = hashlib.sha256()
    with open_to_read(path) as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _listed(folder: Path) -> list[str]:
    files = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    return sorted(file.as_posix() for file in files if not is_side_file(file))


def open_to_read(path: Path) -> BinaryIO:
    """Open a plain file; a pipe or a device, which could hold the reader up for ever, is refused.

    Raises:
        OSError: it is missing, unreadable, a folder or no plain file.
    """
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            kind = errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO
            raise OSError(kind, os.strerror(kind), str(path))
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def read_bytes(path: Path, *, most: int | None = None) -> bytes:
    """Return what a plain file holds.

    Raises:
        OSError: see ``open_to_read``; or the file has more than ``most`` bytes.
    """
    with open_to_read(path) as file:
        content = file.read() if most is None else file.read(most + 1)
    if most is not None and len(content) > most:
        raise OSError(f"it has more than the {most:,} bytes that such a file may have")
    return content
