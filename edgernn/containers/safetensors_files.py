"""Safetensors files: every tensor a view of the file's bytes, bfloat16 widened, metadata kept."""

from __future__ import annotations

import numpy as np

from edgernn import storage
from edgernn.containers.content import Content
from edgernn.containers.source import Source
from edgernn.storage import strict_json, tensor_files

_LENGTH_BYTES = 8
_BFLOAT16 = "bfloat16"
_NUMBERS = frozenset(np.dtype(code).name for code in "?bBhHiIqQefd")


def read_safetensors(source: Source) -> Content:
    """Read the tensors of a safetensors file by name.

    Raises:
        DataError: it is damaged, or has a type that numpy lacks (but bfloat16).
    """
    try:  # read, not copied from the map: that would count twice
        held = tensor_files.load(source.path)
    except OSError as error:
        raise source.refused(f"cannot be read: {storage.reason(error)}") from error
    except ValueError as error:
        raise source.damaged(str(error)) from error
    raw = held.raw
    start = _LENGTH_BYTES + int.from_bytes(raw[:_LENGTH_BYTES], "little")
    header, data = strict_json.parse_object(raw[_LENGTH_BYTES:start]), memoryview(raw)[start:]
    tree = {}
    for name, (dtype, shape) in held.layout.items():
        first, end = header[name]["data_offsets"]
        tree[name] = _tensor(source, name, data[first:end], dtype).reshape(shape)
    return Content(source.path, "safetensors", tree, held.metadata)


def _tensor(source: Source, name: str, part: memoryview, dtype: str) -> np.ndarray:
    if dtype == _BFLOAT16:
        return widened(np.frombuffer(part, "<u2"))
    if dtype not in _NUMBERS:
        raise source.refused(
            f"has a tensor {name!r} of the type {dtype}, which numpy lacks; save it as float32 or "
            "float16"
        )
    return np.frombuffer(part, np.dtype(dtype))


def widened(halves: np.ndarray) -> np.ndarray:
    """Return the float32 values of bfloat16 numbers, given as the uint16 of their bits: bfloat16 is
    the upper half of float32.
    """
    wide = halves.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
