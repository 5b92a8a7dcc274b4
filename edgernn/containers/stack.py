"""The state of the pickle machine: where it reads, its stack, its memo; and the checks of what is
put together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.containers.content import Stub

_MOST_MEMO = 5_000_000
_MOST_MARKS = 10_000  # open ones; pickle itself cannot nest deeper than Python calls
_MOST_MADE = 1_000_000  # lists, dicts, tuples, sets, names and objects
_MOST_NAMES, _LONGEST_NAME = 20_000, 300  # of classes and functions
_MOST_SPENT = 1 << 16  # items and characters that calls copy, and two a byte of the file
_MOST_TUPLE_KEYS = 20_000  # tuples that are keys: their hashes can be made to be one
_LONGEST_TUPLE_KEY = 16
_LONGEST_LINE = 1 << 24
_MOVED = {  # modules of Python 2 and of older libraries → where they are now
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}
_KEYS = (str, bytes, bool, float, type(None))


class Stack:
    """A pickle that is being read.

    Attributes:
        raw: the bytes.
        place: of the next one.
        end: how many they are.
        items: of the innermost open mark.
        outer: the items below each open mark.
        memo: what was put aside, by number.
        persistent: makes a value of a persistent id.
        files: makes a value of a file of torch that lies in it, or None.
    """

    def __init__(
        self,
        raw: memoryview,
        start: int,
        persistent: Callable[[Any], Any],
        *,
        files: Callable[[bytes], Any] | None = None,
    ) -> None:
        self.raw, self.files = raw, files
        self.place = start
        self.end = len(raw)
        self.items: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.persistent = persistent
        self._made = 0
        self._tuple_keys = 0
        self._names: dict[tuple[str, str], str] = {}
        self._left = _MOST_SPENT + 2 * len(raw)

    def take(self, count: int) -> memoryview:
        """Return the next ``count`` bytes."""
        start = self.place
        if not 0 <= count <= len(self.raw) - start:
            raise ValueError(f"a length of {count:,} bytes, {len(self.raw) - start:,} are left")
        self.place = start + count
        return self.raw[start : self.place]

    def number(self, count: int) -> int:
        """Return the next ``count`` bytes as a number without sign, little-endian."""
        return int.from_bytes(self.take(count), "little")

    def line(self) -> bytes:
        """Return the bytes up to the end of the line, without it."""
        length = 256
        while True:
            found = bytes(self.raw[self.place : self.place + length])
            end = found.find(b"\n")
            if end >= 0:
                self.place += end + 1
                return found[:end]
            if len(found) < length or length > _LONGEST_LINE:
                raise ValueError("a line without end")
            length *= 8

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.items.append(value)

    def push_made(self, value: Any) -> None:
        """Put something that was put together on the stack; there is a most of them."""
        self._made += 1
        if self._made > _MOST_MADE:
            raise ValueError(f"more than {_MOST_MADE:,} objects")
        self.items.append(value)

    def pop(self) -> Any:
        """Take the last value from the stack, above the innermost mark."""
        return self.items.pop()

    def top(self) -> Any:
        """Return the last value and leave it."""
        return self.items[-1]

    def last(self, count: int) -> list[Any]:
        """Take the last ``count`` values from the stack, in their order."""
        if len(self.items) < count:
            raise ValueError("a value is taken that was not put")
        found = self.items[-count:]
        del self.items[-count:]
        return found

    def spend(self, count: int) -> None:
        """Note that a call copies ``count`` items: nothing is copied over and over."""
        self._left -= count
        if self._left < 0:
            raise ValueError("its calls copy more than it holds")

    def named(self, module: Any, name: Any) -> str:
        """Return the dotted name of a class or function, as Python 3 has it."""
        if type(module) is not str or type(name) is not str:
            raise ValueError("a name that is no text")
        if (module, name) not in self._names:
            if len(self._names) >= _MOST_NAMES or len(module) + len(name) > _LONGEST_NAME:
                raise ValueError(f"too many names or too long ones, as {module[:40]!r}")
            self._names[module, name] = f"{_MOVED.get(module, module)}.{name}"
        return self._names[module, name]

    def mark(self) -> None:
        """Open a mark."""
        if len(self.outer) >= _MOST_MARKS:
            raise ValueError(f"more than {_MOST_MARKS:,} open marks")
        self.outer.append(self.items)
        self.items = []

    def pop_mark(self) -> list[Any]:
        """Close the innermost mark and return what stood above it."""
        found, self.items = self.items, self.outer.pop()
        return found

    def put(self, index: int) -> None:
        """Put the last value aside under a number."""
        if index < 0 or len(self.memo) >= _MOST_MEMO:
            raise ValueError(f"memo {index:,}, of at most {_MOST_MEMO:,} from 0")
        self.memo[index] = value = self.items[-1]
        if isinstance(value, Unfinished):
            value.places.append(index)

    def finish(self, made: Any) -> None:
        """Put what an unfinished value became in its place, on the stack and in the memo."""
        unfinished = self.items[-1]
        if made is unfinished:
            return
        for index in unfinished.places:
            if self.memo.get(index) is unfinished:
                self.memo[index] = made
        self.items[-1] = made

    def key(self, value: Any) -> Any:
        """Return what stands for ``value`` as a key of a dict or a member of a set: itself, or a
        stub around a tensor (the state of torch's optimisers is by parameter).

        Raises:
            ValueError: hashing it could take long, or is not possible.
        """
        kind = type(value)
        if kind in _KEYS or isinstance(value, Stub):
            return value
        if kind is np.ndarray:
            return Stub("torch.Tensor", (value,))
        if kind is int and value.bit_length() <= 64:
            return value
        if kind is tuple and len(value) <= _LONGEST_TUPLE_KEY:
            self._tuple_keys += 1
            if self._tuple_keys <= _MOST_TUPLE_KEYS and not any(type(v) is tuple for v in value):
                return tuple(self.key(v) for v in value)
        raise ValueError(f"a {kind.__name__} as a key, which no checkpoint has")


class Stopped(Exception):  # noqa: N818 - the end of a pickle is no error
    """The last opcode was reached; ``value`` is what the pickle holds."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Unfinished(Stub):
    """A value that is whole only once its state came; until then a stub like any other."""

    __slots__ = ("places",)

    def __init__(self, name: str, arguments: tuple[Any, ...] = ()) -> None:
        super().__init__(name, arguments)
        self.places: list[int] = []

    def finished(self, stack: Stack) -> Any:
        """Return what it became; itself, where its state is not what it should be."""
        return self
