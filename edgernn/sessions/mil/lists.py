"""Core ML's lists of tensors, as Python lists of arrays: what loops collect their results in.

Semantics as coremltools documents them in ``mil/ops/defs/iOS15/control_flow.py``. A list is a value
like any other: a write returns a changed copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
_DTYPES = {"bool": np.bool_, "fp16": np.float16, "fp32": np.float32, "int32": np.int32}


def make_list(
    init_length: Array, dynamic_length: Array, elem_shape: Sequence[Any], dtype: str
) -> list[Array | None]:
    """Return ``init_length`` tensors of zeros; of None, which nothing can be read from, where the
    shape is left open.
    """
    if any(isinstance(size, str) for size in elem_shape):
        return [None] * int(init_length.item())
    shape = [int(size) for size in elem_shape]
    return [np.zeros(shape, _DTYPES[dtype]) for _ in range(int(init_length.item()))]


def list_write(ls: list[Array], index: Array, value: Array) -> list[Array]:
    """Return the list with ``value`` at ``index``; longer by zeros where it was too short."""
    at = int(index.item())
    changed = ls + [np.zeros_like(value)] * (at + 1 - len(ls))
    changed[at] = value
    return changed


def list_scatter(ls: list[Array], indices: Array, value: Array) -> list[Array]:
    """Return the list with ``value[i]`` at ``indices[i]``."""
    for index, element in zip(indices, value, strict=True):
        ls = list_write(ls, index, element)
    return ls


LISTS: dict[str, Callable[..., Any]] = {
    "list_gather": lambda ls, indices: np.stack([ls[index] for index in indices.tolist()]),
    "list_length": lambda ls: np.int32(len(ls)),
    "list_read": lambda ls, index: ls[int(index.item())],
    "list_scatter": list_scatter,
    "list_write": list_write,
    "make_list": make_list,
}
