"""Files of ``torch.save`` in the format before 1.6: pickles in a row, then the storages' bytes.

    a magic number, the format's version, a dict about the machine: a pickle each
    the object: a pickle, whose persistent ids are storages and classes
    the keys of the storages, in their order: a pickle
    of each storage: its elements, 8 bytes little-endian; then their bytes

The bytes lie behind the pickle that tells their types, so it is run twice: for the storages, then
for the object. The id of a class holds its source text, which is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from edgernn.containers.content import Content, Name
from edgernn.containers.pickle_machine import load, load_next
from edgernn.containers.source import Source
from edgernn.containers.torch_storages import Storage, item_bytes, storage_of

_VERSION = 1001
_COUNT_BYTES = 8
_Array = Callable[[int, int], np.ndarray]  # of the bytes from one place to another


def read_torch_legacy(source: Source) -> Content:
    """Return what a file of ``torch.save`` in its older format holds.

    Raises:
        DataError: it is damaged, or was written on a big-endian machine.
    """
    try:
        return Content(source.path, "torch legacy", _read(source.raw, source.array))
    except ValueError as error:
        raise source.damaged(str(error)) from error


def read_torch_tar(source: Source) -> Content:
    """Refuse a file of torch before 0.1.10, which was a tar."""
    raise source.refused(
        "is a file of torch.save in its oldest format, a tar, which is not taken; load it with "
        "torch where it was trained, and save its state_dict() anew"
    )


def storage_in(raw: bytes) -> Storage:
    """Return the storage that a file of this format holds, as ``pickle.dump`` of a tensor keeps one
    inside the pickle (``torch.storage._load_from_bytes``).

    Raises:
        ValueError: it is damaged, holds anything else, or a further file.
    """

    def array(start: int, stop: int) -> np.ndarray:
        held = np.frombuffer(raw[start:stop], np.uint8)  # a copy, aligned for every dtype
        held.flags.writeable = False
        return held

    found = _read(memoryview(raw), array)
    if not isinstance(found, Storage):
        raise ValueError("a storage of torch that is none")
    return found


def _read(raw: memoryview, array: _Array) -> Any:
    """Return the object in ``raw``; ``array`` returns bytes of it as an array of uint8."""
    _, place = load_next(raw)  # the magic number, which the table saw
    version, place = load_next(raw, start=place)
    machine, place = load_next(raw, start=place)
    if type(version) is not int or version != _VERSION:
        raise ValueError(f"its format is not {_VERSION}, the only one that torch wrote")
    if type(machine) is dict and machine.get("little_endian") is False:
        raise ValueError("it was written on a big-endian machine, which is not taken")
    storages = _Storages(len(raw))
    _, end = load_next(raw, start=place, persistent=storages)
    keys, data = load_next(raw, start=end)
    if type(keys) is not list or not all(type(key) in (str, int) for key in keys):
        raise ValueError("its storages are not listed")
    storages.fill(raw, array, keys, data)
    return load(raw, start=place, persistent=storages)


class _Storages:
    """The storages of the file by key, and views of them by key."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.found: dict[str, Storage] = {}
        self.views: dict[tuple[str, str, int, int], Storage] = {}

    def __call__(self, found: Any) -> Storage | Name:
        if type(found) is tuple and len(found) == 4 and type(found[0]) is str:
            if found[0] != "module" or not isinstance(found[1], Name):
                raise ValueError("it has the source text of what is no class")
            return found[1]
        key, storage, view = storage_of(found, most_bytes=self.most_bytes)
        root = self.found.setdefault(key, storage)
        if root.name != storage.name:
            raise ValueError(f"the storage {key[:80]!r} is of two types")
        return root if view is None else self._view(key, root, view)

    def _view(self, key: str, root: Storage, view: Any) -> Storage:
        """Return the part of a storage that a persistent id names: its key, offset and elements."""
        kinds = tuple(map(type, view)) if type(view) is tuple else ()
        if kinds not in ((str, int, int), (int, int, int)):
            raise ValueError("a part of a storage that torch does not write")
        name, offset, count = str(view[0]), view[1], view[2]
        if not (offset >= 0 and count >= 0 and offset + count <= root.count):
            raise ValueError(f"a part of the storage {key[:80]!r} that is not in it")
        part = self.views.setdefault((key, name, offset, count), Storage(root.name, count))
        if root.known:
            part.fill_from(root, offset)
        return part

    def fill(self, raw: memoryview, array: _Array, keys: list[Any], start: int) -> None:
        """Find the bytes of every storage, from byte ``start`` on in the order of ``keys``."""
        if {str(key) for key in keys} != set(self.found) or len(keys) != len(self.found):
            raise ValueError("the storages that it lists are not those that it uses")
        for key in keys:
            storage = self.found[str(key)]
            count = int.from_bytes(raw[start : start + _COUNT_BYTES], "little")
            begin = start + _COUNT_BYTES
            start = begin + count * item_bytes(storage)
            if start > len(raw):
                raise ValueError(f"the storage {str(key)[:80]!r} goes on beyond its end")
            if count < storage.count:
                raise ValueError(f"the storage {str(key)[:80]!r} is too short")
            storage.fill(partial(array, begin, start))
