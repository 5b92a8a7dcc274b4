"""numpy's files, ``.npy`` and ``.npz``: numbers as views of the file's bytes, texts as lists, no
objects.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from typing import Any

import numpy as np
from numpy.lib import format as numpy_format

from edgernn.containers.content import Content
from edgernn.containers.source import Source

_MALFORMED = (ValueError, TypeError, SyntaxError, KeyError, EOFError, tokenize.TokenError)
_MOST_HEADER_BYTES = 1 << 16
_MOST_ITEM_BYTES = 8  # of a number


def read_npy(source: Source) -> Content:
    """Read one array; the tree has it by the file's name without its ending.

    Raises:
        DataError: it is damaged, or its values are no numbers and no texts.
    """
    name = source.path.stem
    return Content(source.path, "numpy array (npy)", {name: _array(source, source.raw, name)})


def read_npz(source: Source) -> Content:
    """Read an archive of arrays by name.

    Raises:
        DataError: it is damaged, or an array holds objects.
    """
    tree = {}
    for entry in source.names:
        if entry.endswith(".npy") and source.archive:
            try:
                raw = source.archive.read(entry)
            except ValueError as error:
                raise source.damaged(str(error)) from error
            name = entry.removesuffix(".npy")
            tree[name] = _array(source, raw, name)
    return Content(source.path, "numpy archive (npz)", tree)


def _array(source: Source, raw: memoryview, name: str) -> Any:
    """Return what one ``.npy`` holds: a read-only view of ``raw``, or the texts of it."""
    shape, by_columns, dtype, start = _header(source, raw, name)
    number = dtype.kind in "fiub" and dtype.itemsize <= _MOST_ITEM_BYTES
    if not number and dtype.kind not in "US":
        raise source.refused(
            f"has an array {name!r} of the type {dtype}, which is not taken; save numbers: objects "
            "would have to be unpickled, which may run code"
        )
    count, held = math.prod(shape), len(raw) - start
    if min(shape, default=0) < 0 or count * dtype.itemsize != held or not dtype.itemsize:
        raise source.damaged(f"{name}: {shape} of {dtype} does not have {held:,} bytes")
    try:
        flat = np.frombuffer(raw, dtype, count, start) if held else np.zeros(0, dtype)
        array = flat.reshape(shape, order="F" if by_columns else "C")
        if not number:
            return array.tolist()
    except (ValueError, SystemError) as error:  # SystemError: numpy's, where a text is no text
        raise source.damaged(f"{name}: {error}") from error
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _header(
    source: Source, raw: memoryview, name: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return an array's shape, whether it lies by columns, its type and where its values begin."""
    file = io.BytesIO(bytes(raw[:_MOST_HEADER_BYTES]))
    try:
        with warnings.catch_warnings():  # numpy warns of headers that Python 2 wrote
            warnings.simplefilter("ignore")
            version = numpy_format.read_magic(file)
            first = version == (1, 0)
            read = (
                numpy_format.read_array_header_1_0 if first else numpy_format.read_array_header_2_0
            )
            shape, by_columns, dtype = read(file)
    except _MALFORMED as error:
        raise source.damaged(f"{name}: {error}") from error
    return shape, by_columns, dtype, file.tell()
