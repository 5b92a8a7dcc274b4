"""Files that are either whole or absent: written to a temporary name beside the target, then renamed.

Every file that edgernn saves goes through here, so a crash, a kill or a full disk leaves what stood there before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from edgernn.errors import StorageError

_READ_BYTES = 1 << 20


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; on success rename it over ``target``, on failure remove it.

    The body may write a file or make a folder at the yielded path. A folder replaces only a missing target or
    another folder; that takes two renames, and a kill between them leaves the old folder as ``.NAME.….old``.

    Raises:
        StorageError: the operating system refused to write (disk full, no permission, …).
    """
    if not target.name:
        raise StorageError(f"{str(target)!r} names no file or folder to write; choose another path")
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if temporary.is_dir() and target.is_dir():
            _swap_folder(temporary, target)
        else:
            temporary.replace(target)
    except OSError as error:
        raise StorageError(
            f"could not write {target}: {error.strerror or error}; what was saved before is unchanged. "
            "Free some space or choose another folder."
        ) from error
    finally:
        remove(temporary)


def _swap_folder(new: Path, target: Path) -> None:
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.old")
    target.rename(old)
    try:
        new.rename(target)
    except OSError:
        old.rename(target)
        raise
    remove(old)


@contextmanager
def appending(target: Path) -> Iterator[TextIO]:
    """Open a text file for appending; what stands in it already is never touched.

    Raises:
        StorageError: the operating system refused to write.
    """
    try:
        with target.open("a", encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise StorageError(f"could not append to {target}: {error.strerror or error}. Free some space") from error


def write_bytes(target: Path, content: bytes) -> None:
    """Write ``content`` to ``target``, whole or not at all, and flushed to the disk."""
    with replacing(target) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(target: Path, content: str) -> None:
    """Write ``content`` as UTF-8 with unchanged line ends, whole or not at all."""
    write_bytes(target, content.encode())


def write_json(target: Path, value: Any) -> None:
    """Write ``value`` as indented JSON, whole or not at all."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def as_utf8(name: Path | str) -> str:
    """Return a path as text that UTF-8 can hold, so that it can be recorded: bytes that are no UTF-8 become escapes."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there; never raises, as it cleans up after what did."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a folder, or a path that cannot exist
        shutil.rmtree(path, ignore_errors=True)


def size_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder, that of its listing.

    The listing has one line per file, sorted by path: the file's SHA-256, two spaces, its path with ``/`` relative to
    the folder, a newline: what ``sha256sum`` prints.
    """
    if path.is_dir():
        files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        listing = "".join(f"{sha256(path / file)}  {file}\n" for file in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
