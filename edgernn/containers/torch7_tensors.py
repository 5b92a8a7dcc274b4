"""Tensors and storages of Torch7: their classes, and a tensor as a view of its storage (torch7
``generic/Tensor.c``, ``generic/Storage.c``; those of CUDA are written as the plain ones are).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided

_CLASS = re.compile(
    r"torch\.(?P<cuda>Cuda)?(?P<kind>Double|Float|Half|Byte|Char|Short|Int|Long)?(?P<what>Tensor|Storage)"
)
_DTYPES = {
    "Double": "float64",
    "Float": "float32",
    "Half": "float16",
    "Byte": "uint8",
    "Char": "int8",
    "Short": "int16",
    "Int": "int32",
    "Long": "int64",
}
_MOST_AXES = 32
_FREE_ELEMENTS = 1_000_000  # that a tensor may show of a small file by repeating its elements


def of_class(name: str) -> tuple[str, str] | None:
    """Return the dtype in numpy's words and ``Tensor`` or ``Storage``; None of another class."""
    found = _CLASS.fullmatch(name)
    if not found or not (found["kind"] or found["cuda"]):
        return None
    return _DTYPES[found["kind"] or "Float"], found["what"]  # torch.CudaTensor has floats


def check_axes(count: int) -> int:
    """Return the number of axes; raise ValueError where no tensor has as many."""
    if not 0 <= count <= _MOST_AXES:
        raise ValueError(f"a tensor of {count} axes")
    return count


def view(
    storage: np.ndarray | None,
    dtype: str,
    shape: Sequence[int],
    *,
    strides: Sequence[int],
    offset: int,
    file_bytes: int,
) -> np.ndarray:
    """Return a tensor as a read-only view of its storage, which it shares with others.

    Args:
        storage: its elements, 1-D; None where it has none.
        dtype: of an empty tensor.
        shape: its sizes; without any it is empty.
        strides: in elements.
        offset: of its first element, from 1 as Lua counts.
        file_bytes: size of the file; no tensor shows far more elements than that.

    Raises:
        ValueError: it reaches outside its storage.
    """
    count = math.prod(shape) if shape else 0
    if count == 0 and min(shape, default=0) >= 0:
        return np.zeros(tuple(shape) or (0,), dtype)
    size = 0 if storage is None else storage.size
    last = offset - 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    inside = min(shape) > 0 and min(strides) >= 0 and offset >= 1 and last < size
    if storage is None or not inside or count > max(_FREE_ELEMENTS, file_bytes):
        raise ValueError(
            f"a tensor of the shape {list(shape)}, strides {list(strides)} from {offset} on "
            f"reaches outside its storage of {size} elements"
        )
    bytes_apart = [stride * storage.itemsize for stride in strides]
    return as_strided(storage[offset - 1 :], shape, bytes_apart, writeable=False)
