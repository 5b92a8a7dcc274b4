"""Small ExecuTorch programs made by the library ``flatbuffers``, as ``schema/program.fbs`` says: of
portable operators alone, with whatever instructions a test wants.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers

KERNEL, MOVE, JUMP = 1, 3, 4
Call = tuple[int, int, tuple[int, ...]]  # its kind, which operator, the places of values


@dataclass(frozen=True)
class Tensor:
    """A float32 tensor: planned memory, unless it is a constant; ``at`` is where it lies there, by
    itself unless it is said.
    """

    shape: tuple[int, ...]
    constant: int = 0
    planned: bool = True
    dynamic: bool = False
    at: int | None = None


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    made: int = builder.EndVector()
    return made


def _ints(builder: Any, numbers: Sequence[int], width: int = 4) -> int:
    builder.StartVector(width, len(numbers), width)
    for number in reversed(numbers):
        builder.PrependInt32(number) if width == 4 else builder.PrependUint64(number)
    made: int = builder.EndVector()
    return made


def _table(builder: Any, fields: int, **slots: tuple[str, int]) -> int:
    """Write a table; a slot is named ``_3`` and has the kind of its number, ``offset`` too."""
    builder.StartObject(fields)
    for name, (kind, number) in slots.items():
        slot = int(name[1:])
        if kind == "offset":
            builder.PrependUOffsetTRelativeSlot(slot, number, 0)
        else:
            getattr(builder, f"Prepend{kind}Slot")(slot, number, 0)
    made: int = builder.EndObject()
    return made


def _value(builder: Any, value: Tensor | str, place: int) -> int:
    if isinstance(value, str):
        text = builder.CreateString(value)
        inner = _table(builder, 1, _0=("offset", text))
        return _table(builder, 2, _0=("Uint8", 6), _1=("offset", inner))
    sizes = _ints(builder, value.shape)
    slots = {"_0": ("Int8", 6), "_2": ("offset", sizes), "_5": ("Uint32", value.constant)}
    if value.planned:
        at = 1024 * place if value.at is None else value.at
        slots["_6"] = ("offset", _table(builder, 3, _0=("Uint32", 1), _1=("Uint32", at)))
    slots["_8"] = ("Int8", int(value.dynamic))
    inner = _table(builder, 10, **slots)
    return _table(builder, 2, _0=("Uint8", 5), _1=("offset", inner))


def _call(builder: Any, call: Call) -> int:
    kind, index, places = call
    if kind == KERNEL:
        given = _ints(builder, places)
        inner = _table(builder, 2, _0=("Int32", index), _1=("offset", given))
    else:
        inner = _table(builder, 2, _0=("Int32", places[0]), _1=("Int32", places[-1]))
    return _table(builder, 2, _0=("Uint8", kind), _1=("offset", inner))


def method(
    builder: Any,
    name: str,
    *,
    values: Sequence[Tensor | str],
    inputs: Sequence[int] = (),
    outputs: Sequence[int] = (),
    operators: Sequence[str] = (),
    calls: Sequence[Call] = (),
) -> int:
    """Write one method."""
    made = _vector(builder, [_value(builder, value, place) for place, value in enumerate(values)])
    called = _vector(builder, [_call(builder, call) for call in calls])
    chain = _table(builder, 4, _2=("offset", called))
    named = []
    for operator in operators:
        first, _, last = operator.partition(".")
        words = [builder.CreateString(word) for word in (first, last)]
        named.append(_table(builder, 2, _0=("offset", words[0]), _1=("offset", words[1])))
    slots = {
        "_0": builder.CreateString(name),
        "_2": made,
        "_3": _ints(builder, inputs),
        "_4": _ints(builder, outputs),
        "_5": _vector(builder, [chain]),
        "_6": _vector(builder, named),
    }
    return _table(builder, 10, **{slot: ("offset", place) for slot, place in slots.items()})


def program(
    forward: dict[str, Any], *, others: Sequence[dict[str, Any]] = (), constants: bytes = b""
) -> bytes:
    """Return a program whose method ``forward`` is as ``method`` takes it; the one constant that
    there may be lies in the one segment.
    """
    builder = flatbuffers.Builder()
    plans = [method(builder, **{"name": "forward", **each}) for each in (forward, *others)]
    segment = _table(builder, 2, _1=("Uint64", len(constants)))
    segments = _vector(builder, [segment])
    offsets = _ints(builder, [0, 0], 8)
    held = _table(builder, 2, _1=("offset", offsets))
    listed = _vector(builder, plans)
    root = _table(builder, 8, _1=("offset", listed), _4=("offset", segments), _5=("offset", held))
    builder.Finish(root, b"ET12")
    return with_header(bytes(builder.Output()), constants)


def with_header(flat: bytes, segments: bytes) -> bytes:
    """Put the header of an ExecuTorch file behind the identifier, and the segments at the end."""
    header = 32
    (root,) = struct.unpack_from("<I", flat)
    size = len(flat) + header
    base = -(-size // 16) * 16
    said = struct.pack("<4sIQQQ", b"eh00", header, size, base, len(segments))
    whole = struct.pack("<I", root + header) + flat[4:8] + said + flat[8:]
    return whole + bytes(base - size) + segments
