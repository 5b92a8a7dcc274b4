"""Protocol-buffer fields out of a piece of memory: number and value, nothing of what they mean."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Data = memoryview
Span = slice  # where a length-delimited value lies
Value = int | bytes | Span  # of a varint; of 4 or 8 fixed bytes; of anything longer
Field = tuple[int, Value]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_LONGEST_VARINT = 10  # bytes


def fields(data: Data, span: Span) -> Iterator[Field]:
    """Yield every field of the message that lies at ``span``.

    Raises:
        ValueError: it is no message, or is cut off.
    """
    at, end = span.start, span.stop
    while at < end:
        tag, at = _varint(data, at)
        if tag >> 32:
            raise ValueError("a field number beyond 2^29, which other readers take for another one")
        number, kind = tag >> 3, tag & 7
        value: Value
        if kind == _VARINT:
            value, at = _varint(data, at)
        elif kind == _BYTES:
            length, at = _varint(data, at)
            value, at = slice(at, at + length), at + length
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
            value, at = bytes(data[at : at + size]), at + size
        else:
            raise ValueError(f"a field of wire type {kind}")
        if at > end:
            raise ValueError("a field that is cut off")
        yield number, value


def integers(data: Data, value: Value) -> list[int]:
    """Return the int64 numbers of a field, packed or single; none where it is of another kind."""
    if isinstance(value, int):
        return [_signed(value)]
    if isinstance(value, bytes):
        return []
    found, at = [], value.start
    while at < value.stop:
        number, at = _varint(data, at)
        found.append(_signed(number))
    return found


def floats(data: Data, value: Value) -> list[float]:
    """Return the float32 numbers of a field, packed or single; none where it is of another kind."""
    if isinstance(value, int):
        return []
    content = bytes(data[value]) if isinstance(value, slice) else value
    return list(struct.unpack(f"<{len(content) // 4}f", content))


def text(data: Data, span: Span) -> str:
    """Return a string; bytes that are no UTF-8 are replaced."""
    return bytes(data[span]).decode(errors="replace")


def _varint(data: Data, at: int) -> tuple[int, int]:
    """Return the number at ``at``, and where the next field begins."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    for place in range(at + 1, at + _LONGEST_VARINT):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise ValueError("a number that never ends")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
