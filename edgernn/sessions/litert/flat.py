"""A reader of FlatBuffers that believes nothing: every offset, length and table is held against the
bytes that are there before anything is read through it.

    a file        u32 offset of the root table, then four letters that name the schema
    a table       i32 back to its vtable, then its fields
    a vtable      u16 its own size, u16 the table's size, then a u16 for each field: 0, or where the
                  field lies in the table
    a vector      u32 count, then the items; a text is a vector of bytes

Everything is little-endian. See the FlatBuffers documentation, "Internals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

from edgernn.errors import ContractError

_MOST_TABLES = 200_000  # read of one file; ours have hundreds
_OFFSET = 4  # bytes


class FlatFile:
    """The bytes of a file; ``name`` is what a ContractError calls it."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self._tables = data, name, 0

    def root(self) -> Table:
        """Return the root table."""
        return self.table(self.number("<I", 0))

    def number(self, kind: str, place: int) -> int:
        """Return the integer of the ``struct`` format ``kind`` at ``place``."""
        if place < 0 or place + struct.calcsize(kind) > len(self.data):
            raise self.damaged(f"byte {place} is beyond its {len(self.data)} bytes")
        found: int = struct.unpack_from(kind, self.data, place)[0]
        return found

    def table(self, place: int) -> Table:
        """Return the table at ``place``."""
        self._tables += 1
        if self._tables > _MOST_TABLES:
            raise self.damaged(f"it has more than {_MOST_TABLES} tables")
        return Table(self, place)

    def damaged(self, why: str) -> ContractError:
        """Return the error that says the file is damaged."""
        return ContractError(
            f"{self.name} is damaged, no LiteRT runtime may read it: {why}; export or copy it again"
        )


class Table:
    """One table; a field is told by its number in the schema."""

    def __init__(self, file: FlatFile, place: int) -> None:
        self.file, self.place = file, place
        vtable = place - file.number("<i", place)
        size, self._size = file.number("<H", vtable), file.number("<H", vtable + 2)
        if size < 4 or size % 2 or vtable < 0 or vtable + size > len(file.data):
            raise file.damaged(f"the table at byte {place} has no vtable")
        if self._size < 4 or place + self._size > len(file.data):
            raise file.damaged(f"the table at byte {place} ends beyond the file")
        self._fields = struct.unpack_from(f"<{(size - 4) // 2}H", file.data, vtable + 4)

    def check(self) -> None:
        """Refuse a field that lies outside the table."""
        if any(at and not 4 <= at < self._size for at in self._fields):
            raise self.file.damaged(f"a field of the table at byte {self.place} lies outside of it")

    def scalar(self, field: int, kind: str, default: int = 0) -> int:
        """Return a number; ``default`` where it is not there."""
        at = self._at(field, struct.calcsize(kind))
        return default if at is None else self.file.number(kind, at)

    def child(self, field: int) -> Table | None:
        """Return a table; None where it is not there."""
        at = self._at(field, _OFFSET)
        return None if at is None else self.file.table(self._target(at))

    def children(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        start, count = self._vector(field, _OFFSET)
        for index in range(count):
            yield self.file.table(self._target(start + index * _OFFSET))

    def array(self, field: int, dtype: str) -> np.ndarray:
        """Return a vector of numbers, over the file's own memory."""
        kind = np.dtype(dtype)
        start, count = self._vector(field, kind.itemsize)
        return np.frombuffer(self.file.data, kind, count, start) if count else np.zeros(0, kind)

    def text(self, field: int) -> str:
        """Return a text; empty where it is not there."""
        try:
            return self.array(field, "<u1").tobytes().decode()
        except UnicodeDecodeError as error:
            raise self.file.damaged("a name in it is no text") from error

    def has(self, field: int) -> bool:
        """Return whether a field is there."""
        return self._at(field, 1) is not None

    def _at(self, field: int, size: int) -> int | None:
        inside = self._fields[field] if field < len(self._fields) else 0
        if not inside:
            return None
        if inside < 4 or inside + size > self._size:
            raise self.file.damaged(f"a field of the table at byte {self.place} lies outside of it")
        return self.place + inside

    def _target(self, place: int) -> int:
        return place + self.file.number("<I", place)

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        at = self._at(field, _OFFSET)
        if at is None:
            return 0, 0
        start = self._target(at)
        count = self.file.number("<I", start)
        if start + 4 + count * size > len(self.file.data):
            raise self.file.damaged(f"a vector of {count} items at byte {start} ends beyond it")
        return start + 4, count
