"""Safetensors files, written with a digest of their own and read strictly.

    8 bytes     the header's length, little-endian
    header      JSON: tensor → dtype, shape and where its bytes lie; ``__metadata__`` → text → text
    data        the tensors

The format has no check sum, so a flipped bit of a weight would be read as another weight. ``save``
puts the SHA-256 of all that matters into the metadata; ``read`` refuses a file that has one and
does not agree with it. Files of other programs have none and are read as they are.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from edgernn import storage
from edgernn.errors import EdgernnError
from edgernn.storage import strict_json

DIGEST = "edgernn.sha256"  # of the metadata
_METADATA = "__metadata__"
_LENGTH_BYTES = 8
_MOST_HEADER_BYTES = 100_000_000  # the library's own limit
_DTYPES = {  # of the format → numpy's; the last one is torch's alone
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "BF16": "bfloat16",
}
_KNOWN = frozenset(_DTYPES.values()) - {"bfloat16"}
_WORDS = {  # numpy's → the format's, and the bytes of a number
    name: (word, np.dtype(name).itemsize) for word, name in _DTYPES.items() if name in _KNOWN
}
_BYTES = {name: 1 if name == "BOOL" else int(name.lstrip("UIFB")) // 8 for name in _DTYPES}


@dataclass(frozen=True)
class Content:
    """What a safetensors file holds.

    Attributes:
        raw: its bytes, the digest checked where it has one.
        layout: each tensor's dtype in numpy's words (the format's own where numpy lacks it) and
            shape.
        metadata: texts by name, without the digest.
    """

    raw: bytes
    layout: dict[str, tuple[str, tuple[int, ...]]]
    metadata: dict[str, str]

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the tensors; raise ValueError where numpy lacks a dtype or the library refuses
        them.
        """
        strange = next(
            (
                f"{name} is {dtype}"
                for name, (dtype, _) in self.layout.items()
                if dtype not in _KNOWN
            ),
            None,
        )
        if strange:
            raise ValueError(f"{strange}, which numpy lacks")
        try:
            return dict(safetensors.numpy.load(self.raw))
        except SafetensorError as error:
            raise ValueError(_one_line(error)) from error

    def views(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each tensor by name as it lies in ``raw``, read-only: nothing is copied.

        Raises:
            ValueError: numpy lacks a dtype.
        """
        header, data = _split(self.raw)
        for name, start, stop in _in_order(header):
            dtype, shape = self.layout[name]
            if dtype not in _KNOWN:
                raise ValueError(f"the tensor {name!r} is {dtype}")
            yield name, np.frombuffer(data[start:stop], dtype).reshape(shape)


def save(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return ``tensors`` and ``metadata`` as a file with its digest."""
    plain = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    return sealed(safetensors.numpy.save(plain, dict(metadata or {}) or None))


def write(file: BinaryIO, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write what ``save`` returns to an open file, tensor by tensor: nothing is copied but what is
    not contiguous.
    """
    order = sorted(tensors, key=lambda name: (-_WORDS[str(tensors[name].dtype)][1], name))
    header: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))}
    at = 0
    for name in order:
        array = tensors[name]
        header[name] = {
            "dtype": _WORDS[str(array.dtype)][0],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    plain = [np.ascontiguousarray(tensors[name]) for name in order]
    header[_METADATA][DIGEST] = _digest(header, *(_bytes_of(array) for array in plain))
    header[_METADATA] = dict(sorted(header[_METADATA].items()))
    text = _padded(header)
    file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
    for array in plain:
        file.write(_bytes_of(array))


def _bytes_of(array: np.ndarray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def sealed(raw: bytes) -> bytes:
    """Return the safetensors file ``raw`` with its digest in the metadata."""
    header, data = _split(raw)
    own = {**header.get(_METADATA, {}), DIGEST: _digest(header, data)}
    header[_METADATA] = dict(
        sorted(own.items())
    )  # the library writes them in another order every time
    text = _padded(header)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + data


def _padded(header: Mapping[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % _LENGTH_BYTES)  # data begins at a multiple of 8


def parse(raw: bytes) -> Content:
    """Read a safetensors file.

    Raises:
        ValueError: says in one line what is wrong with it; tensors that share bytes, or leave some
            out, are refused as the library refuses them.
    """
    header, data = _split(raw)
    metadata = header.get(_METADATA, {})
    if not isinstance(metadata, dict) or not all(
        isinstance(text, str) for text in metadata.values()
    ):
        raise ValueError("the header's metadata is not text by name")
    if DIGEST in metadata and metadata[DIGEST] != _digest(header, data):
        raise ValueError("it does not have the SHA-256 that it says; its content was changed")
    layout = {
        name: _entry(name, entry, len(data)) for name, entry in header.items() if name != _METADATA
    }
    _refuse_other_places(header, len(data))
    return Content(raw, layout, {name: text for name, text in metadata.items() if name != DIGEST})


def load(path: Path) -> Content:
    """Read the safetensors file at ``path``.

    Raises:
        OSError: it cannot be read, or is no plain file.
        ValueError: it is damaged; says how in one line.
    """
    return parse(storage.read_bytes(path))


def read(path: Path, *, what: str, remedy: str, error: type[EdgernnError]) -> dict[str, np.ndarray]:
    """Return the tensors of the safetensors file at ``path``.

    Args:
        path: the file.
        what: what it should be, as ``golden run``.
        remedy: what to do where it is not.
        error: raised then; it says which file, and why.
    """
    try:
        return load(path).tensors()
    except OSError as refused:
        raise error(
            f"cannot read the {what} {path}: {storage.reason(refused)}; {remedy}"
        ) from refused
    except ValueError as damage:
        raise error(f"{path} is no {what} ({damage}); {remedy}") from damage


def first_not_finite(tensors: Mapping[str, np.ndarray]) -> str | None:
    """Return the name of the first tensor with a value that is not finite, or None."""
    floats = (name for name, tensor in tensors.items() if tensor.dtype.kind == "f")
    return next((name for name in floats if not np.isfinite(tensors[name]).all()), None)


def _split(raw: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the header and the data."""
    if len(raw) < _LENGTH_BYTES:
        raise ValueError(f"it has {len(raw)} bytes, a safetensors file has {_LENGTH_BYTES} or more")
    length = int.from_bytes(raw[:_LENGTH_BYTES], "little")
    if length > min(_MOST_HEADER_BYTES, len(raw) - _LENGTH_BYTES):
        raise ValueError(
            f"its header should have {length} bytes; it is cut off, or no safetensors file"
        )
    try:
        header = strict_json.parse_object(raw[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except ValueError as error:
        raise ValueError(f"its header is damaged: {error}") from error
    return header, memoryview(raw)[_LENGTH_BYTES + length :]


def _entry(name: str, entry: Any, size: int) -> tuple[str, tuple[int, ...]]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its header does not describe the tensor {name!r}")
    dtype, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if (
        not isinstance(dtype, str)
        or not _are_counts(shape)
        or not _are_counts(place)
        or len(place) != 2
    ):
        raise ValueError(f"its header does not describe the tensor {name!r}")
    if not place[0] <= place[1] <= size:
        raise ValueError(f"the tensor {name!r} lies outside the file; it is cut off")
    if dtype in _BYTES and math.prod(shape) * _BYTES[dtype] != place[1] - place[0]:
        raise ValueError(
            f"the tensor {name!r} of the shape {shape} does not have {place[1] - place[0]} bytes"
        )
    return _DTYPES.get(dtype, dtype), tuple(shape)


def _in_order(header: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Return each tensor's name, and where its bytes begin and end, as they lie in the file."""
    entries = [
        (name, *entry["data_offsets"]) for name, entry in header.items() if name != _METADATA
    ]
    return sorted(entries, key=lambda entry: entry[1:])


def _refuse_other_places(header: Mapping[str, Any], size: int) -> None:
    """Raise ValueError where the tensors do not fill the data one after another, as the format
    demands and the library checks (safetensors README, "Format": no holes in the byte buffer).
    """
    end = 0
    for name, start, stop in _in_order(header):
        if start != end:
            where = "over another one" if start < end else "behind bytes that are of no tensor"
            raise ValueError(
                f"the tensor {name!r} begins at byte {start} of the data, {where}, expected {end}"
            )
        end = stop
    if end != size:
        more = size - end
        raise ValueError(
            "its last byte is of no tensor"
            if more == 1
            else f"its last {more:,} bytes are of no tensor"
        )


def _are_counts(found: Any) -> bool:
    return isinstance(found, list) and all(type(count) is int and count >= 0 for count in found)


def _digest(header: Mapping[str, Any], *data: memoryview) -> str:
    """Return the SHA-256 of the header as canonical JSON, the digest itself left out, and of the
    data.
    """
    metadata = {name: text for name, text in header.get(_METADATA, {}).items() if name != DIGEST}
    canonical = json.dumps({**header, _METADATA: metadata}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode())
    for part in data:
        digest.update(part)
    return digest.hexdigest()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
