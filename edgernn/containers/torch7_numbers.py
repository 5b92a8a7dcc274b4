"""The numbers of a Torch7 file as they lie in it, binary or as text (torch7
``lib/TH/THDiskFile.c``).

binary   little-endian; int of 4 bytes, double of 8, long of 8 (of 4 where a 32-bit machine, or
         ``file:longSize(4)``, wrote them)
text     numbers apart by one space, a line end after every row; characters as they are, and a
         line end
"""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np

from edgernn.wording import counted

_TOKEN = re.compile(rb"\s*([^\s]{1,60})")
_LINE_END = 10
_TEXTS = ("int8", "uint8")  # Char and Byte: written as they are, also in the text form


def is_text(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, begins the text form."""
    return head.startswith((b"3\n1\n", b"4\n1\n3\nV "))


def is_torch7(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a file, begins a table or an object of Torch7."""
    if is_text(head):
        return True
    kind, index, size = (int.from_bytes(head[k : k + 4], "little") for k in (0, 4, 8))
    if len(head) < 12 or index != 1:
        return False
    if kind == 4:  # an object of a class
        return 3 <= size < 12 and head[12:14] == b"V "
    return kind == 3 and size < 1 << 24 and (not size or head[12:13] in b"\1\2\3\4\5")


class Numbers(Protocol):
    """Where numbers are read from, in order; every method raises ValueError where they end or are
    none.
    """

    def integer(self) -> int:
        """Return one int."""

    def longs(self, count: int) -> list[int]:
        """Return ``count`` longs."""

    def double(self) -> float:
        """Return one double."""

    def characters(self, count: int) -> bytes:
        """Return ``count`` bytes."""

    def array(self, dtype: str, count: int) -> np.ndarray:
        """Return ``count`` numbers of the type that numpy calls ``dtype``, read-only."""

    def left(self) -> int:
        """Return the bytes that are not read."""


class BinaryNumbers:
    """Numbers of the binary form."""

    def __init__(self, raw: bytes, long_bytes: int) -> None:
        self._raw, self._place, self._long = raw, 0, f"<i{long_bytes}"

    def _array(self, dtype: str, count: int) -> np.ndarray:
        kind = np.dtype(dtype)
        if not 0 <= count * kind.itemsize <= self.left():
            told = f"{counted(count, 'number')} of {counted(kind.itemsize, 'byte')}"
            raise ValueError(
                f"{told} should follow, and it has {counted(self.left(), 'byte')} left"
            )
        found = np.frombuffer(self._raw, kind, count, self._place) if count else np.zeros(0, kind)
        self._place += count * kind.itemsize
        return found

    def integer(self) -> int:
        """Return one int."""
        return int(self._array("<i4", 1)[0])

    def longs(self, count: int) -> list[int]:
        """Return ``count`` longs."""
        return list(map(int, self._array(self._long, count)))

    def double(self) -> float:
        """Return one double."""
        return float(self._array("<f8", 1)[0])

    def characters(self, count: int) -> bytes:
        """Return ``count`` bytes."""
        return self._array("u1", count).tobytes()

    def array(self, dtype: str, count: int) -> np.ndarray:
        """Return ``count`` numbers as a view of the file; longs as int64."""
        if dtype == "int64":
            return self._array(self._long, count).astype(np.int64, copy=False)
        return self._array(np.dtype(dtype).newbyteorder("<").str, count)

    def left(self) -> int:
        """Return the bytes that are not read."""
        return len(self._raw) - self._place


class TextNumbers:
    """Numbers of the text form."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._place = raw, 0

    def _token(self) -> bytes:
        found = _TOKEN.match(self._raw, self._place)
        if not found:
            raise ValueError(f"a number is missing at the byte {self._place}")
        self._place = found.end()
        return found[1]

    def _end_line(self) -> None:
        if self._place < len(self._raw) and self._raw[self._place] == _LINE_END:
            self._place += 1

    def integer(self) -> int:
        """Return one int."""
        return self.longs(1)[0]

    def longs(self, count: int) -> list[int]:
        """Return ``count`` longs."""
        if not 0 <= count <= self.left():
            raise ValueError(f"{counted(count, 'number')}, more than it has left")
        found = [int(self._token()) for _ in range(count)]
        if count:
            self._end_line()
        return found

    def double(self) -> float:
        """Return one double."""
        found = float(self._token())
        self._end_line()
        return found

    def characters(self, count: int) -> bytes:
        """Return ``count`` bytes."""
        if not 0 <= count <= self.left():
            raise ValueError(f"{count} characters are more than it has left")
        found = self._raw[self._place : self._place + count]
        self._place += count
        if count:
            self._end_line()
        return found

    def array(self, dtype: str, count: int) -> np.ndarray:
        """Return ``count`` numbers of one row."""
        if dtype in _TEXTS:
            return np.frombuffer(self.characters(count), dtype)
        if not 0 <= count <= self.left():
            raise ValueError(f"{counted(count, 'number')}, more than it has left")
        if not count:
            return np.zeros(0, dtype)
        end = self._raw.find(b"\n", self._place)
        end = len(self._raw) if end < 0 else end
        row = self._raw[self._place : end].split()
        if len(row) != count:
            raise ValueError(f"a row has {counted(len(row), 'number')}, {count} were said")
        self._place = min(end + 1, len(self._raw))
        read = int if np.dtype(dtype).kind == "i" else float
        try:
            made = np.array(list(map(read, row)), dtype)
        except OverflowError as error:
            raise ValueError(f"a number is too large for {dtype}") from error
        made.flags.writeable = False
        return made

    def left(self) -> int:
        """Return the bytes that are not read."""
        return len(self._raw) - self._place
