"""Torch7 files (``.t7``), as ``torch.save`` of Lua Torch writes them, binary or as text (torch7
``File.lua``):

    object    int type, then: nothing (0 nil) | double (1) | int size, characters (2 string) |
              int 0 or 1 (5 boolean) | 3, 4, 7, 8: int index, then what it is unless the index was
              read before | 6: a function of an old kind, without an index
    table     (3) int size, then key and value, an object each
    torch     (4) string ``V n``, string class, then a tensor, a storage, or one object: its fields
    function  (6, 7, 8) int size, bytecode, an object: what it closes over

Tables become dicts, arrays of Lua with the keys 1, 2, …; whole numbers become int; strings become
str where they are UTF-8, else bytes. Objects become ``Stub`` with their fields as state, and may
hold each other in circles, as the graphs of nngraph do. Functions become empty stubs: their
bytecode is passed over. Entries whose key is an object or a boolean are left out: Lua uses them as
sets beside lists of the same objects.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgernn.containers import torch7_tensors
from edgernn.containers.content import Content, Stub
from edgernn.containers.source import Source
from edgernn.containers.torch7_numbers import BinaryNumbers, Numbers, TextNumbers, is_text

FUNCTION = "function"  # name of the stub that stands for one
_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN, _OLD_FUNCTION = range(7)
_FUNCTIONS = (7, 8)
_PLAIN = (_NIL, _NUMBER, _STRING, _BOOLEAN)
_DEEPEST = 10_000
_MOST_OBJECTS = 10_000_000
_WHOLE = 2.0**53  # below it every whole double is an integer exactly
_OWN_FORMS = ("tds.",)  # classes that write themselves in a form of their own


def read_torch7(source: Source) -> Content:
    """Read the object of a Torch7 file.

    Raises:
        DataError: it is damaged, or holds a class that writes itself in its own form.
    """
    raw = bytes(source.raw)
    ways: list[tuple[str, Numbers]] = [("text", TextNumbers(raw))]
    if not is_text(raw):
        ways = [("binary", BinaryNumbers(raw, 8)), ("binary, longs of 4", BinaryNumbers(raw, 4))]
    first: ValueError | None = None
    for form, numbers in ways:
        machine = _Machine(numbers, len(raw))
        try:
            tree = machine.run()
            if first and numbers.left():
                raise ValueError("it goes on after its object")
        except _OwnFormError as error:
            raise source.refused(f"{error}; save the network's tensors alone") from error
        except ValueError as error:
            first = first or error
            continue
        return Content(source.path, f"Torch7 ({form})", tree, told=machine.told(numbers.left()))
    raise source.damaged(str(first))


class _OwnFormError(Exception):
    """A class whose form is not known."""


class _Machine:
    """Reads one object with all that it holds; nested ones on a stack of its own."""

    def __init__(self, numbers: Numbers, file_bytes: int) -> None:
        self._numbers, self._file_bytes = numbers, file_bytes
        self._known: dict[int, Any] = {}
        self._open: list[_Table | _Object | _Tensor] = []
        self._count = self._functions = 0

    def told(self, left: int) -> tuple[str, ...]:
        """Return what a user should know of what was read."""
        told = []
        if self._functions:
            told.append(f"{self._functions} functions in the file were left out, and not run")
        if left:
            told.append(f"{left:,} bytes after the first object were left out")
        return tuple(told)

    def run(self) -> Any:
        """Return the object; raise ValueError where it is none."""
        while True:
            whole, value = self._begin()
            if not whole:
                continue
            while self._open and self._open[-1].take(value):
                value = self._open.pop().result()
            if not self._open:
                return value

    def _begin(self) -> tuple[bool, Any]:
        """Read what begins here: (True, its value), or (False, None) where objects of it follow."""
        self._count += 1
        if self._count > _MOST_OBJECTS or len(self._open) > _DEEPEST:
            raise ValueError("it has too many objects, or they are nested too deeply")
        kind = self._numbers.integer()
        if kind in _PLAIN:
            return True, self._plain(kind)
        if kind == _OLD_FUNCTION:
            return self._function()
        if kind not in (_TABLE, _TORCH, *_FUNCTIONS):
            raise ValueError(f"an object of the unknown type {kind}")
        index = self._numbers.integer()
        if index in self._known:
            return True, self._known[index]
        if kind in _FUNCTIONS:
            return self._function(index)
        return self._table(index) if kind == _TABLE else self._torch(index)

    def _plain(self, kind: int) -> Any:
        if kind == _NUMBER:
            return _number(self._numbers.double())
        if kind == _STRING:
            return _text(self._characters())
        return self._numbers.integer() == 1 if kind == _BOOLEAN else None

    def _characters(self) -> bytes:
        return self._numbers.characters(self._numbers.integer())

    def _function(self, index: int | None = None) -> tuple[bool, Any]:
        stub = Stub(FUNCTION)
        if index is not None:
            self._known[index] = stub
        self._characters()  # bytecode
        self._functions += 1
        self._open.append(_Object(stub, keeps=False))
        return False, None

    def _table(self, index: int) -> tuple[bool, Any]:
        size = self._numbers.integer()
        if size < 0:
            raise ValueError(f"a table of {size} entries")
        made: dict[Any, Any] = {}
        self._known[index] = made
        if size:
            self._open.append(_Table(made, size))
        return not size, made

    def _torch(self, index: int) -> tuple[bool, Any]:
        version = self._characters()
        name = _text(self._characters() if version.startswith(b"V ") else version)
        if not isinstance(name, str) or not name.isprintable():
            raise ValueError("the name of a class is no text")
        if name.startswith(_OWN_FORMS):
            raise _OwnFormError(f"holds {name}, which writes itself in a form of its own")
        kind = torch7_tensors.of_class(name)
        if kind is None:
            stub = Stub(name)
            self._known[index] = stub
            self._open.append(_Object(stub))
            return False, None
        dtype, what = kind
        if what == "Storage":
            (size,) = self._numbers.longs(1)
            self._known[index] = self._numbers.array(dtype, size)
            return True, self._known[index]
        self._open.append(_Tensor(self, index, dtype))
        return False, None


class _Table:
    """A table whose entries are being read: key, value, key, value, …"""

    def __init__(self, made: dict[Any, Any], size: int) -> None:
        self._made, self._left, self._key, self._has_key = made, size, None, False

    def take(self, value: Any) -> bool:
        """Take the next object; True where the table is whole."""
        if not self._has_key:
            if value is None:
                raise ValueError("a table has an entry without a key")
            self._key, self._has_key = value, True
            return False
        if isinstance(self._key, (str, bytes, int, float)) and not isinstance(self._key, bool):
            if self._key in self._made:
                raise ValueError("a table has two entries of one key")
            self._made[self._key] = value
        self._has_key = False
        self._left -= 1
        return self._left == 0

    def result(self) -> Any:
        """Return the table."""
        return self._made


class _Object:
    """An object whose fields, one table, are being read; ``keeps``: they are its state."""

    def __init__(self, stub: Stub, *, keeps: bool = True) -> None:
        self._stub, self._keeps = stub, keeps

    def take(self, value: Any) -> bool:
        """Take its fields."""
        if self._keeps:
            self._stub.state = value
        return True

    def result(self) -> Any:
        """Return the stub."""
        return self._stub


class _Tensor:
    """A tensor whose storage is being read."""

    def __init__(self, machine: _Machine, index: int, dtype: str) -> None:
        numbers = machine._numbers
        axes = torch7_tensors.check_axes(numbers.integer())
        self._shape, self._strides = numbers.longs(axes), numbers.longs(axes)
        (self._offset,) = numbers.longs(1)
        self._machine, self._index, self._dtype = machine, index, dtype
        self._made: np.ndarray | None = None

    def take(self, value: Any) -> bool:
        """Take its storage."""
        if value is not None and not (isinstance(value, np.ndarray) and value.dtype == self._dtype):
            raise ValueError(f"a tensor of {self._dtype} has no storage of that type")
        self._made = torch7_tensors.view(
            value,
            self._dtype,
            self._shape,
            strides=self._strides,
            offset=self._offset,
            file_bytes=self._machine._file_bytes,
        )
        self._machine._known[self._index] = self._made
        return True

    def result(self) -> Any:
        """Return the tensor."""
        return self._made


def _number(value: float) -> int | float:
    whole = math.isfinite(value) and abs(value) < _WHOLE and value == int(value)
    return int(value) if whole else value


def _text(raw: bytes) -> str | bytes:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw
