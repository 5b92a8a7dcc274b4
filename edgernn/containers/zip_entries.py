"""Zip files, read over their bytes: entries that are stored are views, and nothing is inflated
beyond what an honest file needs.

The layout is that of PKWARE's APPNOTE 6.3.10: the end record, with its 64-bit form before it, says
where the directory lies; the directory says where each entry's header lies, the data behind it.
Names are names only: nothing is written to disk.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_DIRECTORY, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_END_BYTES, _LONGEST_COMMENT = 22, 65535
_MOST_ENTRIES = 200_000
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF  # "see the 64-bit field"
_STORED, _DEFLATED = 0, 8
_PIECE_BYTES = 1 << 20
_ENCRYPTED = 0x2041  # flags: encrypted, strongly encrypted, its names hidden
# What may come out of compressed entries, all together: weights shrink by a third, text tenfold.
_MOST_INFLATED_BYTES, _MOST_TIMES = 64 << 20, 16


@dataclass(frozen=True)
class Entry:
    """One entry: how it is stored, its sizes in bytes, where its header lies."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


class Archive:
    """The entries of a zip file by name, and their bytes."""

    def __init__(self, raw: memoryview, entries: dict[str, Entry]) -> None:
        self.raw = raw
        self.entries = entries
        self._left = _MOST_INFLATED_BYTES + _MOST_TIMES * len(raw)

    def place(self, name: str) -> tuple[int, int] | None:
        """Return where the bytes of a stored entry begin and end in the file; None where it is
        compressed.

        Raises:
            ValueError: it is encrypted, damaged, or packed in a way that is not taken.
        """
        entry = self.entries[name]
        start, stop = self._span(entry)
        return (start, stop) if entry.method == _STORED else None

    def read(self, name: str, *, check: bool = True, most: int | None = None) -> memoryview:
        """Return the bytes of an entry: a view of the file's where they are stored.

        Args:
            name: of the entry.
            check: whether its check sum must be right.
            most: bytes that it may have; none are unpacked of a longer one.

        Raises:
            ValueError: as ``place``; or it holds other bytes, or more, than the directory says, or
                more than ``most``.
        """
        entry = self.entries[name]
        if most is not None and entry.size > most:
            raise ValueError(f"{name!r} has {entry.size:,} bytes, expected at most {most:,}")
        start, stop = self._span(entry)
        found = self.raw[start:stop]
        if entry.method == _DEFLATED:
            found = self._inflated(entry, found)
        if check and zlib.crc32(found) != entry.crc:
            raise ValueError(f"the bytes of {name!r} do not have their check sum")
        return found

    def _span(self, entry: Entry) -> tuple[int, int]:
        if entry.flags & _ENCRYPTED:
            raise ValueError(f"{entry.name!r} is encrypted")
        if entry.method not in (_STORED, _DEFLATED):
            raise ValueError(
                f"{entry.name!r} is packed by method {entry.method}, expected stored or deflated"
            )
        header = bytes(self.raw[entry.offset : entry.offset + 30])
        if len(header) < 30 or header[:4] != _LOCAL:
            raise ValueError(f"{entry.name!r} is not where the directory says")
        names, extra = struct.unpack("<HH", header[26:30])
        start = entry.offset + 30 + names + extra
        stop = start + entry.packed
        if stop > len(self.raw):
            raise ValueError(f"{entry.name!r} goes on beyond the end of the file")
        if entry.method == _STORED and entry.packed != entry.size:
            raise ValueError(f"{entry.name!r} is stored, with two sizes")
        return start, stop

    def _inflated(self, entry: Entry, packed: memoryview) -> memoryview:
        if entry.size > self._left:
            raise ValueError(
                f"{entry.name!r} unpacks to {entry.size:,} bytes, more than such a file can need"
            )
        self._left -= entry.size
        held, place, machine = bytearray(entry.size), 0, zlib.decompressobj(-zlib.MAX_WBITS)
        for start in range(0, len(packed), _PIECE_BYTES):
            piece: bytes | memoryview = packed[start : start + _PIECE_BYTES]
            while piece:
                try:
                    found = machine.decompress(piece, _PIECE_BYTES)
                except zlib.error as error:
                    raise ValueError(f"{entry.name!r} does not unpack ({error})") from error
                if place + len(found) > entry.size:
                    raise ValueError(f"{entry.name!r} unpacks to more than its size")
                held[place : place + len(found)] = found
                place, piece = place + len(found), machine.unconsumed_tail
        if place != entry.size:
            raise ValueError(f"{entry.name!r} does not unpack to its {entry.size:,} bytes")
        return memoryview(held).toreadonly()


def open_archive(raw: memoryview) -> Archive:
    """Read the directory of a zip file.

    Raises:
        ValueError: it has none that can be read; says why.
    """
    count, size, start = _end(raw)
    if count > _MOST_ENTRIES:
        raise ValueError(f"it has {count:,} entries, at most {_MOST_ENTRIES:,} are read")
    if start + size > len(raw):
        raise ValueError("the directory of its entries is beyond its end")
    directory, place = bytes(raw[start : start + size]), 0
    entries: dict[str, Entry] = {}
    for _ in range(count):
        entry, place = _entry(directory, place)
        if entry.name in entries:
            raise ValueError(f"it has two entries named {entry.name!r}")
        entries[entry.name] = entry
    return Archive(raw, entries)


def _end(raw: memoryview) -> tuple[int, int, int]:
    """Return the number of entries, the bytes of their directory and where it begins."""
    tail_at = max(0, len(raw) - _END_BYTES - _LONGEST_COMMENT)
    tail = bytes(raw[tail_at:])
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise ValueError("its end is missing, so it was cut off")
    disk, first, here, count, size, start = struct.unpack("<4H2I", tail[at + 4 : at + 20])
    if _FULL16 in (here, count) or _FULL32 in (size, start):
        return _end64(raw, tail_at + at)
    if disk or first or here != count:
        raise ValueError("it is one of several parts")
    return count, size, start


def _end64(raw: memoryview, end: int) -> tuple[int, int, int]:
    locator = bytes(raw[max(0, end - 20) : end])
    if len(locator) < 20 or locator[:4] != _LOCATOR64:
        raise ValueError("its 64-bit directory is missing")
    (at,) = struct.unpack("<Q", locator[8:16])
    record = bytes(raw[at : at + 56])
    if len(record) < 56 or record[:4] != _END64:
        raise ValueError("its 64-bit directory is not where it says")
    disk, first, here, count, size, start = struct.unpack("<2I4Q", record[16:56])
    if disk or first or here != count:
        raise ValueError("it is one of several parts")
    return count, size, start


def _entry(directory: bytes, place: int) -> tuple[Entry, int]:
    head = directory[place : place + 46]
    if len(head) < 46 or head[:4] != _DIRECTORY:
        raise ValueError("the directory of its entries is damaged")
    flags, method = struct.unpack("<2H", head[8:12])
    crc, packed, size = struct.unpack("<3I", head[16:28])
    names, extras, comment = struct.unpack("<3H", head[28:34])
    (offset,) = struct.unpack("<I", head[42:46])
    at = place + 46
    name = directory[at : at + names].decode("utf-8", "replace")
    extra = directory[at + names : at + names + extras]
    if _FULL32 in (packed, size, offset):
        size, packed, offset = _wide(extra, size, packed, offset)
    return Entry(name, flags, method, crc, packed, size, offset), at + names + extras + comment


def _wide(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return the sizes and the offset, those of 64 bits from the extra field 1."""
    while len(extra) >= 4:
        tag, length = struct.unpack("<2H", extra[:4])
        if tag == 1:
            numbers = iter(struct.unpack(f"<{length // 8}Q", extra[4 : 4 + length // 8 * 8]))
            found = [next(numbers, -1) if n == _FULL32 else n for n in (size, packed, offset)]
            if min(found) < 0:
                break
            return found[0], found[1], found[2]
        extra = extra[4 + length :]
    raise ValueError("the directory of its entries lacks its 64-bit sizes")
