"""Named arrays: read from a safetensors file, and placed along named axes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from contract import BATCH, DTYPES, TIME
from errors import BundleError, first_line

Arrays = dict[str, np.ndarray]


def read_tensors(content: bytes, name: str) -> Arrays:
    """Read a safetensors file: the length of a JSON header in 8 bytes, the header, the data."""
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        arrays, body = {}, memoryview(content)[start:]
        for tensor, entry in header.items():
            begin, end = entry["data_offsets"]
            dtype = np.dtype(DTYPES[entry["dtype"]]).newbyteorder("<")
            arrays[tensor] = np.frombuffer(body[begin:end], dtype).reshape(entry["shape"])
    except (
        AttributeError,
        LookupError,
        OverflowError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise BundleError(
            f"{name} is no safetensors file ({first_line(error)}); export the bundle again"
        ) from error
    return arrays


def fits(tensor: dict[str, Any], array: np.ndarray, sizes: dict[str, int]) -> bool:
    """Whether an array has a tensor's dtype and, where an axis has a size, that size."""
    axes = tensor["axes"]
    same = all(size == sizes.get(axis, size) for size, axis in zip(array.shape, axes, strict=False))
    return array.dtype == tensor["dtype"] and array.ndim == len(axes) and same


def wrong(tensors: list[dict[str, Any]], given: Arrays, sizes: dict[str, int]) -> str | None:
    """Return what is wrong with what a graph is given: one that is missing, no array, or of other
    sizes than the contract or the arrays before it have.
    """
    sizes = dict(sizes)
    for tensor in tensors:
        name, axes, array = tensor["name"], tensor["axes"], given.get(tensor["name"])
        if array is None:
            return f"{name} is missing; give every input, context and state"
        if not isinstance(array, np.ndarray):
            return f"{name} is a {type(array).__name__}, expected an array of numpy; give one"
        wanted = [sizes.get(axis, axis) for axis in axes]
        sizes |= dict(zip(axes, array.shape, strict=False)) | sizes
        if [*array.shape] != [sizes.get(axis) for axis in axes]:
            return f"{name} is {[*array.shape]}, expected {wanted}; give what the contract says"
    return None


def last_of_row(array: np.ndarray, axes: list[str]) -> np.ndarray:
    """Return what the first row has at the last time: the axes other than batch and time."""
    return array[tuple({BATCH: 0, TIME: -1}.get(axis, slice(None)) for axis in axes)]
