"""A writer of Torch7 files after Torch7's File.lua, Tensor.c, Storage.c and DiskFile.c; it shares
nothing with the reader.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CLASSES = {
    "float32": "Float",
    "float64": "Double",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "uint8": "Byte",
    "int8": "Char",
    "float16": "Half",
}


@dataclass(eq=False)
class Storage:
    """A storage; ``kind`` is the class before ``Storage``, as ``torch.Float``."""

    values: np.ndarray
    kind: str = ""

    def __post_init__(self) -> None:
        self.kind = self.kind or f"torch.{CLASSES[self.values.dtype.name]}"


@dataclass(eq=False)
class Tensor:
    """A tensor over a storage; ``offset`` counts from 1."""

    storage: Storage | None
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 1
    kind: str = ""

    def __post_init__(self) -> None:
        if self.storage:
            self.kind = self.kind or self.storage.kind


@dataclass(eq=False)
class Object:
    """An object of a class, with a table of its fields."""

    name: str
    fields: Any
    version: bool = True


@dataclass(eq=False)
class Function:
    """A function: its bytecode and what it closes over; ``code`` is 6, 7 or 8."""

    bytecode: bytes
    upvalues: Any = field(default_factory=dict)
    code: int = 8


class Number(float):
    """A number that is a double also where it is whole."""


def tensor(values: np.ndarray, kind: str = "") -> Tensor:
    """Return a tensor with a storage of its own."""
    strides = tuple(s // values.itemsize for s in values.strides)
    return Tensor(Storage(values.ravel(), kind), values.shape, strides)


class Writer:
    """Writes one object; the same Python object twice is written once."""

    def __init__(self, *, text: bool = False, long_bytes: int = 8) -> None:
        self.text, self.long_bytes, self.parts = text, long_bytes, list[bytes]()
        self.seen: dict[int, int] = {}
        self.alive = list[Any]()

    def row(self, form: str, *values: Any) -> None:
        """Write numbers: in the text form one row, even a row of one."""
        if not values:
            return
        if not self.text:
            self.parts.append(struct.pack(f"<{len(values)}{form}", *values))
            return
        shown = {"f": "%.9g", "e": "%.9g", "d": "%.17g"}.get(form, "%d")
        self.parts.append((" ".join(shown % v for v in values) + "\n").encode())

    def integer(self, value: int) -> None:
        """Write an int."""
        self.row("i", value)

    def longs(self, *values: int) -> None:
        """Write longs."""
        self.row("q" if self.long_bytes == 8 else "i", *values)

    def characters(self, raw: bytes) -> None:
        """Write bytes as they are."""
        self.parts.append(raw + (b"\n" if self.text and raw else b""))

    def string(self, raw: bytes) -> None:
        """Write a length and bytes."""
        self.integer(len(raw))
        self.characters(raw)

    def write(self, value: Any) -> None:
        """Write an object with its type."""
        if value is None:
            self.integer(0)
        elif isinstance(value, bool):
            self.integer(5)
            self.integer(int(value))
        elif isinstance(value, (int, float)):
            self.integer(1)
            self.row("d", float(value))
        elif isinstance(value, (str, bytes)):
            self.integer(2)
            self.string(value.encode() if isinstance(value, str) else value)
        elif isinstance(value, Function) and value.code == 6:
            self.integer(6)
            self.string(value.bytecode)
            self.write(value.upvalues)
        else:
            self.reference(value)

    def reference(self, value: Any) -> None:
        """Write what others may refer to."""
        is_torch = isinstance(value, (Object, Tensor, Storage))
        code = value.code if isinstance(value, Function) else 4 if is_torch else 3
        self.integer(code)
        if id(value) in self.seen:
            self.integer(self.seen[id(value)])
            return
        self.seen[id(value)] = len(self.seen) + 1
        self.alive.append(value)
        self.integer(self.seen[id(value)])
        if isinstance(value, Function):
            self.string(value.bytecode)
            self.write(value.upvalues)
        elif is_torch:
            self.torch(value)
        else:
            pairs = value.items() if isinstance(value, dict) else enumerate(value, 1)
            self.integer(len(value))
            for key, child in pairs:
                self.write(key)
                self.write(child)

    def torch(self, value: Any) -> None:
        """Write an object of a class."""
        if isinstance(value, Object):
            if value.version:
                self.string(b"V 1")
            self.string(value.name.encode())
            self.write(value.fields)
            return
        self.string(b"V 1")
        self.string(f"{value.kind}{type(value).__name__}".encode())
        if isinstance(value, Tensor):
            self.integer(len(value.shape))
            self.longs(*value.shape)
            self.longs(*value.strides)
            self.longs(value.offset)
            self.write(value.storage)
            return
        self.longs(value.values.size)
        name = value.values.dtype.name
        if name in {"int8", "uint8"}:
            self.characters(value.values.tobytes())
        elif name == "int64":
            self.longs(*value.values.tolist())
        else:
            self.row(np.dtype(name).char.replace("l", "i"), *value.values.tolist())


def t7(value: Any, *, text: bool = False, long_bytes: int = 8) -> bytes:
    """Return the bytes of a file."""
    writer = Writer(text=text, long_bytes=long_bytes)
    writer.write(value)
    return b"".join(writer.parts)
