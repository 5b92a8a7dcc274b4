"""torch's storages, over the bytes of the file: what the tensors of a file are views of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgernn.containers.content import Name, Stub
from edgernn.containers.safetensors_files import widened

# torch's storage class and dtype → numpy's; bfloat16, which numpy lacks, is widened to float32.
_BFLOAT16 = "bfloat16"
STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
}
DTYPES = {
    **{f"torch.{name}": name for name in STORAGES.values()},
    "torch.uint16": "uint16",
    "torch.uint32": "uint32",
    "torch.uint64": "uint64",
}
_UNTYPED = "UntypedStorage"
_STRANGE_BYTES = {"QInt8Storage": 1, "QUInt8Storage": 1, "QInt32Storage": 4, _UNTYPED: 1}


class Storage(Stub):
    """A storage: inert as any stub, and the bytes that tensors are views of.

    Attributes:
        kind: the name of its dtype, as ``float32``; empty where numpy has none.
        count: its elements.
    """

    __slots__ = ("_content", "_make", "_root", "_typed", "big", "count", "kind")

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name)
        self.kind = STORAGES.get(name.rpartition(".")[2], "")
        self.count = count
        self.big = False
        self._make: Callable[[], np.ndarray] | None = None
        self._content: np.ndarray | None = None
        self._root: tuple[Storage, int] | None = None
        self._typed: dict[str, np.ndarray] = {}

    @property
    def known(self) -> bool:
        """Whether its bytes were found."""
        return self._make is not None or self._root is not None

    def fill(self, make: Callable[[], np.ndarray], *, big: bool = False) -> None:
        """Say where its bytes come from.

        Args:
            make: returns them as an array of uint8; called once, when a tensor needs them.
            big: whether their order is the big-endian one.
        """
        self._make, self.big = make, big

    def fill_from(self, root: Storage, offset: int) -> None:
        """Say that it is a part of another storage, from its element ``offset`` on."""
        self._root = root, offset

    def content(self) -> np.ndarray:
        """Return its bytes, as an array of uint8; the same memory at every call.

        Raises:
            ValueError: they were not found.
        """
        if self._content is None:
            if self._make is None:
                raise ValueError("a storage without bytes")
            self._content = self._make()
        return self._content

    def typed(self, kind: str) -> np.ndarray:
        """Return its elements as ``kind`` in one axis; the same memory at every call.

        Raises:
            ValueError: it has too few bytes, or a number of them that does not divide.
        """
        if self._root is not None:
            root, offset = self._root
            return root.typed(kind)[offset : offset + self.count]
        if kind not in self._typed:
            self._typed[kind] = self._as(kind, self.content())
        return self._typed[kind]

    def _as(self, kind: str, content: np.ndarray) -> np.ndarray:
        dtype = np.dtype("uint16" if kind == _BFLOAT16 else kind)
        found = content.view(dtype.newbyteorder(">") if self.big else dtype)  # [elements]
        if self.big:
            found = found.astype(dtype)
        if kind == _BFLOAT16:
            found = widened(found)
        elif kind == "bool":
            found = content != 0  # whatever the bytes are, they become 0 and 1
        found.flags.writeable = False
        return found


def storage_of(found: Any, *, most_bytes: int) -> tuple[str, Storage, Any]:
    """Read a persistent id of torch's: ``("storage", class, key, device, elements[, view])``.

    Args:
        found: the id.
        most_bytes: how many the file can hold.

    Returns:
        its key, a new storage without bytes, and the older format's view or None.

    Raises:
        ValueError: torch writes no such id.
    """
    if type(found) is not tuple or len(found) not in (5, 6):
        raise ValueError("it points to something that is no storage of torch")
    if type(found[0]) is not str or found[0] != "storage":
        raise ValueError("it points to something that is no storage of torch")
    _, kind, key, _, count = found[:5]
    name = kind.name if isinstance(kind, Name) else ""
    if not name.startswith("torch.") or not name.endswith("Storage"):
        raise ValueError(f"it points to a storage of the type {name[:80]!r}, which torch has not")
    if type(key) not in (str, int) or type(count) is not int or count < 0:
        raise ValueError("it points to a storage without a key or a size")
    storage = Storage(name, count)
    if count * item_bytes(storage) > most_bytes:
        raise ValueError(f"a storage of {count:,} elements is larger than the file")
    return str(key), storage, found[5] if len(found) == 6 else None


def item_bytes(storage: Storage) -> int:
    """Return the bytes of an element; raise ValueError where that is not known."""
    short = storage.name.rpartition(".")[2]
    if short in _STRANGE_BYTES:
        return _STRANGE_BYTES[short]
    if not storage.kind:
        raise ValueError(f"a storage of the type {storage.name}, which is not read")
    return 2 if storage.kind == _BFLOAT16 else np.dtype(storage.kind).itemsize
