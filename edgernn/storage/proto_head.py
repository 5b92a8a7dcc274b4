"""The outermost fields of a protocol-buffer file, read in passing: long ones are skipped, so
gigabytes cost nothing.
"""

from __future__ import annotations

import os
from typing import BinaryIO

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_LONGEST_VARINT = 10  # bytes
_MOST_FIELDS = 100_000


def read_fields(file: BinaryIO, *, keep: set[int]) -> list[tuple[int, int | bytes]]:
    """Return every field's number and value; length-delimited ones outside ``keep`` are skipped and
    come as b"".

    Raises:
        ValueError: it is no message, or is cut off.
    """
    here = file.tell()
    end = file.seek(0, os.SEEK_END)
    file.seek(here)
    found: list[tuple[int, int | bytes]] = []
    while (tag := _varint(file)) is not None:
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            found.append((number, _varint(file) or 0))
        elif kind == _BYTES:
            length = _varint(file) or 0
            if length > end - file.tell():
                raise ValueError("a field that is cut off")
            found.append((number, file.read(length) if number in keep else b""))
            if number not in keep:
                file.seek(length, os.SEEK_CUR)
        elif kind in {_FIXED64, _FIXED32}:
            file.seek(8 if kind == _FIXED64 else 4, os.SEEK_CUR)
        else:
            raise ValueError(f"a field of wire type {kind}")
        if len(found) > _MOST_FIELDS:
            raise ValueError(f"more than {_MOST_FIELDS} fields")
    return found


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for place in range(_LONGEST_VARINT):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * place)
        if byte[0] < 0x80:
            return value
    raise ValueError("a number that never ends")
