"""Files of ``torch.save``: a zip with a pickle, ``data.pkl``, and each storage's bytes in an entry
``data/KEY`` of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.containers.content import Content
from edgernn.containers.pickle_machine import load
from edgernn.containers.source import Source
from edgernn.containers.torch_storages import Storage, item_bytes, storage_of

_PICKLE = "data.pkl"
_BYTE_ORDERS = {b"little": False, b"big": True}


def read_torch_zip(source: Source) -> Content:
    """Return what a file of ``torch.save`` holds.

    Raises:
        DataError: it is damaged, encrypted, or none that torch writes.
    """
    try:
        return Content(source.path, "torch zip", Records(source).load(_PICKLE, "data/"))
    except ValueError as error:
        raise source.damaged(str(error)) from error


class Records:
    """The entries of an archive of torch's, in its one folder.

    Raises:
        ValueError: it is none that torch writes.
    """

    def __init__(self, source: Source) -> None:
        if (archive := source.archive) is None:
            raise ValueError("it is no zip")
        pickles = [name for name in archive.entries if name.split("/")[-1] == _PICKLE]
        nearest = min(name.count("/") for name in pickles)
        first = [name for name in pickles if name.count("/") == nearest]
        if len(first) > 1:
            raise ValueError(f"it holds {len(first)} pickles, as {first[0]!r} and {first[1]!r}")
        self.source, self.archive = source, archive
        self.folder = first[0].removesuffix(_PICKLE)
        # torch can be told to write no check sums: then all are 0.
        self.check = any(entry.crc for entry in archive.entries.values())
        order = self.get("byteorder") or b"little"
        if order not in _BYTE_ORDERS:
            raise ValueError(f"its byte order is {order[:20]!r}, expected little or big")
        self.big = _BYTE_ORDERS[order]

    def get(self, name: str) -> bytes | None:
        """Return the bytes of a small entry; None where there is none."""
        if self.folder + name not in self.archive.entries:
            return None
        return bytes(self.archive.read(self.folder + name, check=self.check))

    def load(self, name: str, storages: str) -> Any:
        """Return what a pickle holds, with the storages in the entries that begin ``storages``."""
        raw = self.archive.read(self.folder + name, check=self.check)
        return load(raw, persistent=_Storages(self, self.folder + storages))


class _Storages:
    """The storages of one pickle by their keys: makes one of each persistent id."""

    def __init__(self, records: Records, beginning: str) -> None:
        self.records = records
        self.beginning = beginning
        self.found: dict[str, Storage] = {}
        self.most_bytes = max(entry.size for entry in records.archive.entries.values())

    def __call__(self, found: Any) -> Storage:
        key, storage, _ = storage_of(found, most_bytes=self.most_bytes)
        if key in self.found:
            if self.found[key].name != storage.name:
                raise ValueError(f"the storage {key[:80]!r} is of two types")
            return self.found[key]
        name = self.beginning + key
        entry = self.records.archive.entries.get(name)
        if entry is None:
            raise ValueError(f"the storage {name[:80]!r} is missing")
        if entry.size < storage.count * item_bytes(storage):
            raise ValueError(f"the storage {name[:80]!r} is too short")
        storage.fill(self._bytes(name), big=self.records.big)
        self.found[key] = storage
        return storage

    def _bytes(self, name: str) -> Callable[[], np.ndarray]:
        records = self.records

        def content() -> np.ndarray:
            raw = records.archive.read(name, check=records.check)
            place = records.archive.place(name)
            return np.frombuffer(raw, np.uint8) if place is None else records.source.array(*place)

        return content
