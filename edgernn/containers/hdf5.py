"""HDF5 files, read through h5py: groups, arrays and a few named attributes, nothing that leads out.

Only hard links are followed, each group once; virtual and external datasets, objects, references
and filters of plugins are refused, and so is what declares far more than the file could hold. The
HDF5 library itself may loop for ever over a damaged file, so this is run by ``hdf5_apart``, in a
process of its own.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgernn.containers.bounds import MOST_ENTRIES, budget
from edgernn.containers.safetensors_files import widened

_DEEPEST = 40
_MOST_TEXT_BYTES = 1 << 30  # that an attribute's texts could have together
_FILTERS = frozenset({"gzip", "lzf", None})
_MALFORMED = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    MemoryError,
    OverflowError,
)
_GIVE = "give a file that Keras or h5py wrote"


@dataclass
class Group:
    """A group: what stands on it, in it and below it.

    Attributes:
        attributes: texts, lists of texts and numbers by name.
        arrays: its datasets by name.
        groups: the groups in it by name; numbered ones in the order of their numbers.
    """

    attributes: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)

    def at(self, place: str) -> np.ndarray | None:
        """Return the array at a path of names with slashes, None where there is none."""
        *above, last = place.strip("/").split("/")
        group: Group | None = self
        for name in above:
            group = group.groups.get(name) if group else None
        return group.arrays.get(last) if group else None


def read_groups(raw: bytes, leave_out: frozenset[str] = frozenset()) -> Group:
    """Return what the HDF5 file ``raw`` holds.

    Args:
        raw: its bytes.
        leave_out: names of groups that are not read, wherever they stand.

    Raises:
        Refused: it leads out of itself, or holds what is not taken; says what to do.
        ValueError: it is damaged.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(raw), "r") as file:
            return _Reader(raw, leave_out).group(file, ())
    except _MALFORMED as error:
        raise ValueError(str(error)) from error


class Refused(Exception):  # noqa: N818 - it is whole, and not taken
    """A file that is whole, and holds what is not taken."""


class _Reader:
    """One walk over a file, which counts what it has taken."""

    def __init__(self, raw: bytes, leave_out: frozenset[str]) -> None:
        self._raw, self._leave_out = raw, leave_out
        self._left_bytes = budget(len(raw))
        self._left_entries = MOST_ENTRIES
        self._longest_text: int | None = None

    def group(self, opened: Any, above: tuple[int, ...]) -> Group:
        """Return the content of an h5py group; ``above`` are the addresses it lies in."""
        import h5py

        address = h5py.h5o.get_info(opened.id).addr
        if address in above or len(above) >= _DEEPEST:
            raise self._refused(f"the group {opened.name} lies in itself, or too deep", _GIVE)
        made = Group(attributes=self._attributes(opened))
        for name in sorted(opened, key=_by_number):
            self._count(opened, name)
            if name in self._leave_out:
                continue
            link = opened.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise self._refused(
                    f"{opened.name}/{name} is a link to another place", "store the data itself"
                )
            child = opened[name]
            if isinstance(child, h5py.Group):
                made.groups[name] = self.group(child, (*above, address))
            elif isinstance(child, h5py.Dataset):
                made.arrays[name] = self._array(child)
        return made

    def _count(self, opened: Any, name: str) -> None:
        self._left_entries -= 1
        if self._left_entries < 0:
            raise self._refused(f"it has more than {MOST_ENTRIES:,} entries", _GIVE)
        if not isinstance(name, str):
            raise self._refused(f"a name in {opened.name} is no text", _GIVE)

    def _array(self, dataset: Any) -> np.ndarray:
        """Return the values of a dataset of numbers."""
        where, dtype = dataset.name, dataset.dtype
        brain = dtype.kind == "V" and dtype.itemsize == 2 and _says_bfloat16(dataset)
        if not brain and (dtype.kind not in "fiub" or dtype.itemsize > 8):
            raise self._refused(f"{where} is of the type {dtype}", "store numbers")
        if dataset.is_virtual or dataset.external:
            raise self._refused(f"the data of {where} lies outside it", "store the data itself")
        if dataset.shape is None:
            return np.zeros(0, np.float32)
        if dataset.compression not in _FILTERS or dataset.scaleoffset is not None:
            raise self._refused(f"{where} is packed by {dataset.compression}", "pack it by gzip")
        declared = math.prod(dataset.shape) * dtype.itemsize
        self._left_bytes -= declared
        if self._left_bytes < 0:
            raise self._refused(
                f"{where} declares {declared:,} bytes, far more than a file of "
                f"{len(self._raw):,} bytes holds",
                _GIVE,
            )
        if dataset.chunks is None and dataset.id.get_storage_size() != declared:
            raise self._refused(f"the data of {where} was never written", _GIVE)
        array = np.asarray(dataset[()])
        if brain:
            return widened(array.view(np.uint16))
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def _attributes(self, opened: Any) -> dict[str, Any]:
        """Return the attributes that are texts, lists of texts or single numbers."""
        import h5py

        found: dict[str, Any] = {}
        for name in opened.attrs:
            self._count(opened, name)
            kind = opened.attrs.get_id(name)
            texts = h5py.check_string_dtype(kind.dtype)
            count = math.prod(kind.shape or ())
            if count == 0:
                found[name] = []
            elif texts is not None:
                self._check_texts(f"{opened.name}@{name}", count, texts.length)
                found[name] = _as_text(opened.attrs[name])
            elif kind.dtype.kind in "fiub" and not kind.shape:
                found[name] = opened.attrs[name].item()
        return found

    def _check_texts(self, where: str, count: int, length: int | None) -> None:
        if length is None:  # each of them points to a place, and all may point to one
            length = self._longest()
        if count > MOST_ENTRIES or count * length > _MOST_TEXT_BYTES:
            raise self._refused(f"the texts of {where} are too many or too long", _GIVE)

    def _longest(self) -> int:
        """Return the most bytes that one text of variable length can have: those of the largest
        global heap (HDF5 file format specification 3.0, section III.E).
        """
        if self._longest_text is None:
            sizes, place = [0], self._raw.find(b"GCOL")
            while place >= 0:
                sizes.append(int.from_bytes(self._raw[place + 8 : place + 16], "little"))
                place = self._raw.find(b"GCOL", place + 4)
            self._longest_text = max(min(size, len(self._raw)) for size in sizes)
        return self._longest_text

    def _refused(self, why: str, remedy: str) -> Refused:
        return Refused(f"cannot be taken: {why}; {remedy}")


def _says_bfloat16(dataset: Any) -> bool:
    """Whether Keras 3 wrote it as bfloat16: bytes without a type, and the type's name beside."""
    kind = dataset.attrs.get_id("dtype") if "dtype" in dataset.attrs else None
    return kind is not None and not kind.shape and dataset.attrs["dtype"] == "bfloat16"


def _by_number(name: str) -> tuple[int, int, str]:
    """Sort key: numbers by their value, before words."""
    digits = name.isdecimal() and len(name) < 10
    return (0, int(name), "") if digits else (1, 0, name)


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.ndarray):
        return [_as_text(item) for item in value.ravel().tolist()]
    return value if isinstance(value, str) else str(value)
