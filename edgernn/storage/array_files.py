"""The names, dtypes and shapes of the arrays in files of other programs; the values are not read,
nothing is unpickled.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from numpy.lib import format as numpy_format

from edgernn import storage
from edgernn.errors import DataError
from edgernn.storage import tensor_files

_BEGINS = {  # kind → the first bytes of its files, and what writes them
    "npz": (b"PK\x03\x04", "numpy.savez"),
    "npy": (b"\x93NUMPY", "numpy.save"),
}
Layout = dict[str, tuple[str, tuple[int, ...]]]  # name → dtype and shape
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,  # numpy reads its headers as Python literals
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def layout(path: Path, kind: str) -> tuple[Layout, dict[str, str]]:
    """Return the arrays of a file of the kind ``safetensors``, ``npz`` or ``npy``, and its metadata
    where it has some.

    Raises:
        DataError: it is damaged or cannot be read.
    """
    try:
        with storage.open_to_read(path) as file:
            if kind == "npz":
                return _of_npz(file), {}
            if kind == "npy":
                return {path.stem: _of_npy(file)}, {}
        content = tensor_files.load(path)
        return content.layout, content.metadata
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {storage.reason(error)}; give another file"
        ) from error
    except DAMAGED as error:
        raise unread(path, kind, error) from error


def unread(path: Path, kind: str, error: Exception) -> DataError:
    """Return the refusal of a file of a kind in which a reader met ``error``: it is another kind of
    file, of which the reader's own words say nothing true, or damaged.
    """
    begins, writer = _BEGINS.get(kind, (b"", ""))
    with suppress(OSError), storage.open_to_read(path) as file:
        found = file.read(len(begins))
        if found and not begins.startswith(found):
            return DataError(
                f"{path} is no {kind} file, it begins with {found!r}; expected what {writer} writes"
            )
    return DataError(f"{path} is damaged ({error}); copy or download it again")


def _of_npz(file: BinaryIO) -> Layout:
    with zipfile.ZipFile(file) as archive:
        found = {}
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as entry:
                    found[name.removesuffix(".npy")] = _of_npy(cast("BinaryIO", entry))
        return found


def _of_npy(file: BinaryIO) -> tuple[str, tuple[int, ...]]:
    version = numpy_format.read_magic(file)
    read = (
        numpy_format.read_array_header_1_0
        if version == (1, 0)
        else numpy_format.read_array_header_2_0
    )
    shape, _, dtype = read(file)
    return str(dtype), shape
