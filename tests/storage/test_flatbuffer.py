"""Flatbuffers, as the library ``flatbuffers`` writes them, read in place; and cut off anywhere."""

from __future__ import annotations

import struct

import flatbuffers
import numpy as np
import pytest

from edgernn.storage.flatbuffer import Table


def written() -> bytes:
    """A table with a number, a text, a list of numbers, and a list of one inner table."""
    builder = flatbuffers.Builder()
    builder.StartObject(1)
    builder.PrependInt64Slot(0, 1 << 40, 0)
    inner = builder.EndObject()
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(inner)
    inners = builder.EndVector()
    numbers = builder.CreateNumpyVector(np.array([3, -1, 2], "<i4"))
    text = builder.CreateString("näme")
    builder.StartObject(6)
    builder.PrependInt32Slot(0, -7, 0)
    builder.PrependUOffsetTRelativeSlot(1, text, 0)
    builder.PrependUOffsetTRelativeSlot(2, numbers, 0)
    builder.PrependUOffsetTRelativeSlot(3, inners, 0)
    builder.PrependUOffsetTRelativeSlot(4, inner, 0)
    builder.Finish(builder.EndObject(), b"TEST")
    return bytes(builder.Output())


def read(content: bytes) -> tuple[object, ...]:
    root = Table.root(memoryview(content), b"TEST")
    inner = root.table(4)
    assert inner is not None
    return (
        root.whole(0, "i"),
        root.text(1),
        root.numbers(2, "i"),
        root.array(2, "i4").tolist(),
        [each.whole(0, "q") for each in root.tables(3)],
        inner.whole(0, "q"),
    )


def test_what_was_written_is_read() -> None:
    assert read(written()) == (-7, "näme", [3, -1, 2], [3, -1, 2], [1 << 40], 1 << 40)


def test_what_is_not_there_is_its_default() -> None:
    root = Table.root(memoryview(written()), b"TEST")
    for field in (5, 6, 100):
        assert root.whole(field, "i", 9) == 9
        assert root.text(field) == ""
        assert root.table(field) is None
        assert root.tables(field) == root.numbers(field, "q") == []
        assert root.array(field, "f4").size == 0


def test_another_identifier_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with b'TEST', expected b'ET12'"):
        Table.root(memoryview(written()), b"ET12")


@pytest.mark.parametrize("length", range(0, 100, 3))
def test_a_part_of_it_is_refused(length: int) -> None:
    content = written()
    assert length < len(content)
    with pytest.raises(ValueError, match=r"points to byte|longer than|begins with"):
        read(content[:length])


def test_a_list_without_end_is_refused() -> None:
    content = bytearray(written())
    at = content.index(struct.pack("<i3i", 3, 3, -1, 2))
    content[at : at + 4] = b"\xff\xff\xff\x0f"
    with pytest.raises(ValueError, match="a list of 268435455 entries is longer than the"):
        read(bytes(content))
