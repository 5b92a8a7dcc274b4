"""The tables of a flatbuffer, read in place; every offset and length is checked against the bytes
that there are.

A flatbuffer (https://flatbuffers.dev/internals) is a tree of tables. A table begins with the signed
distance to its list of fields, which has the place of each field within the table, 0 for one that
is not there; fields are numbered as the schema declares them, a union taking two numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

_HEAD_BYTES = 8  # the offset of the root, and the identifier
_WIDTHS = {"B": 1, "b": 1, "?": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


@dataclass(frozen=True)
class Table:
    """One table: the bytes of the whole flatbuffer, and where the table begins.

    Every method raises ValueError where what it follows leads out of the bytes.
    """

    data: memoryview
    at: int

    @classmethod
    def root(cls, data: memoryview, identifier: bytes) -> Table:
        """Return the outermost table of a flatbuffer whose bytes 4 to 8 are ``identifier``."""
        found = bytes(data[4:_HEAD_BYTES])
        if len(data) < _HEAD_BYTES or found != identifier:
            raise ValueError(f"it begins with {found!r}, expected {identifier!r}")
        return cls(data, _number(data, "I", 0))

    def number(self, field: int, kind: str, default: float = 0) -> int | float:
        """Return a number, its kind as ``struct`` writes it."""
        place = self._place(field)
        return default if place is None else _number(self.data, kind, place)

    def whole(self, field: int, kind: str, default: int = 0) -> int:
        """Return a whole number."""
        return int(self.number(field, kind, default))

    def text(self, field: int) -> str:
        """Return a text; an empty one where there is none."""
        place = self._place(field)
        if place is None:
            return ""
        start, count = self._vector(place, 1)
        return bytes(self.data[start : start + count]).decode("utf-8")

    def table(self, field: int) -> Table | None:
        """Return a table, or None where there is none."""
        place = self._place(field)
        return None if place is None else self._table_at(place)

    def tables(self, field: int) -> list[Table]:
        """Return a vector of tables."""
        place = self._place(field)
        if place is None:
            return []
        start, count = self._vector(place, 4)
        return [self._table_at(start + 4 * index) for index in range(count)]

    def numbers(self, field: int, kind: str) -> list[int]:
        """Return a vector of whole numbers, their kind as ``struct`` writes it."""
        place = self._place(field)
        if place is None:
            return []
        start, count = self._vector(place, _WIDTHS[kind])
        return list(struct.unpack_from(f"<{count}{kind}", self.data, start))

    def array(self, field: int, dtype: str) -> np.ndarray:
        """Return a vector of numbers over the bytes where they lie."""
        place = self._place(field)
        if place is None:
            return np.empty(0, dtype)
        start, count = self._vector(place, np.dtype(dtype).itemsize)
        return np.frombuffer(self.data, np.dtype(dtype).newbyteorder("<"), count, start)

    def _place(self, field: int) -> int | None:
        """Return where the value of a field stands, or None where it is not there."""
        fields = self.at - _number(self.data, "i", self.at)
        size = _number(self.data, "H", fields)
        if 4 + 2 * field >= size:
            return None
        within = _number(self.data, "H", fields + 4 + 2 * field)
        return self.at + int(within) if within else None

    def _table_at(self, place: int) -> Table:
        found = Table(self.data, place + int(_number(self.data, "I", place)))
        found._place(0)  # raises where there is none
        return found

    def _vector(self, place: int, width: int) -> tuple[int, int]:
        """Return where the first value of a vector stands, and how many there are."""
        start = place + int(_number(self.data, "I", place))
        count = int(_number(self.data, "I", start))
        if start + 4 + count * width > len(self.data):
            raise ValueError(f"a list of {count} entries is longer than the {len(self.data)} bytes")
        return start + 4, count


def _number(data: memoryview, kind: str, place: int) -> int:
    if place < 0 or place + _WIDTHS[kind] > len(data):
        raise ValueError(f"it points to byte {place} of {len(data)}")
    found: int = struct.unpack_from(f"<{kind}", data, place)[0]
    return found
