"""A file that is read as a container: its bytes, mapped, and its entries where it is a zip."""

from __future__ import annotations

import mmap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.containers.zip_entries import Archive, open_archive
from edgernn.errors import DataError

HEAD_BYTES = 1 << 16
_ALIGNED_BYTES = 16  # of the largest dtype, complex128


@dataclass(frozen=True, eq=False)
class Source:
    """An opened file.

    Attributes:
        path: of the file.
        raw: its bytes, mapped and read-only; what a view of them touches is loaded, no more.
        head: the first 64 KiB of them.
        archive: of a zip file its entries, else None.
        problem: why a file that begins as a zip is none that can be read; empty where there is
            nothing to say.
    """

    path: Path
    raw: memoryview
    head: bytes
    archive: Archive | None = None
    problem: str = ""
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        entries = () if self.archive is None else tuple(self.archive.entries)
        object.__setattr__(self, "names", entries)

    def damaged(self, why: str) -> DataError:
        """Return the error that says why the file cannot be read."""
        return DataError(f"{self.path} is damaged: {why}; copy or download it again")

    def refused(self, why: str) -> DataError:
        """Return the error that says which form of the file is not taken, and what to do."""
        return DataError(f"{self.path} {why}")

    def array(self, start: int, stop: int) -> np.ndarray:
        """Return bytes ``start`` to ``stop`` as a read-only array of uint8, aligned for every
        dtype.

        A view of the map where they lie so. Others are copied from the file, not from the map,
        whose pages would count as memory a second time.

        Raises:
            ValueError: the file has become shorter.
        """
        if start % _ALIGNED_BYTES == 0:
            return np.frombuffer(self.raw[start:stop], np.uint8)
        held = np.empty(stop - start, np.uint8)
        with storage.open_to_read(self.path) as file:
            file.seek(start)
            if file.readinto(held) != len(held):  # type: ignore[attr-defined]
                raise ValueError(f"it ends before byte {stop:,}")
        held.flags.writeable = False
        return held


def open_source(path: Path) -> Source:
    """Map the file at ``path``.

    Raises:
        OSError: it is missing, unreadable, a folder or no plain file.
    """
    with storage.open_to_read(path) as file:
        size = file.seek(0, 2)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    raw = memoryview(mapped)
    head = bytes(raw[:HEAD_BYTES])
    if not head.startswith(b"PK"):
        return Source(path, raw, head)
    try:
        return Source(path, raw, head, open_archive(raw))
    except ValueError as error:
        return Source(path, raw, head, None, str(error))
