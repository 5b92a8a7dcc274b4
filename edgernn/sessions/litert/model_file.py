"""A ``.tflite`` file as data: its tensors, operators, signature and metadata, read without a
runtime.

The numbers of fields are those of TensorFlow Lite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError
from edgernn.sessions.litert.flat import FlatFile, Table
from edgernn.sessions.litert.operators import BUILTIN

IDENTIFIER = b"TFL3"
SIGNATURE = "edgernn"  # the key of the signature of the files that edgernn writes
# by number: what a tensor holds, and its bits
_TYPES = {
    0: ("float32", 32),
    1: ("float16", 16),
    2: ("int32", 32),
    3: ("uint8", 8),
    4: ("int64", 64),
    6: ("bool", 8),
    7: ("int16", 16),
    9: ("int8", 8),
    10: ("float64", 64),
    12: ("uint64", 64),
    15: ("uint32", 32),
    16: ("uint16", 16),
    17: ("int4", 4),
}
_BLOCKWISE = 2  # how a tensor's scales lie: a tensor of their own
_MOST_RANK = 8
_MOST_BYTES = 2**30  # of what is computed: a file of a few bytes could claim any size


@dataclass(frozen=True)
class Tensor:
    """One tensor of the graph.

    Attributes:
        name: in the file; no two need differ.
        shape: every size is fixed.
        dtype: ``float32`` … ``int4``.
        data: the bytes of a constant; None of what is computed.
        scales, zeros, axis: of a quantised constant: one for all, or one for each place along
            ``axis``.
        block_size: how many values share a scale; 0 where these are no blocks.
        scales_in: the tensor that holds the scales of blocks.
        variable: whether the runtime keeps it between calls.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: np.ndarray | None
    scales: np.ndarray
    zeros: np.ndarray
    axis: int = 0
    block_size: int = 0
    scales_in: int = -1
    variable: bool = False

    @property
    def bytes(self) -> int:
        """What its values take."""
        return (prod(self.shape) * bits_of(self.dtype) + 7) // 8


@dataclass(frozen=True)
class Operator:
    """One operator: its kind, and its tensors by number; -1 stands for one left out."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    keeps: bool = False  # whether it changes one of its inputs


@dataclass(frozen=True)
class Signature:
    """The names of what goes in and out, and its tensors by number, in the file's order."""

    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True)
class ModelFile:
    """A file with one graph and one signature."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    signature: Signature
    metadata: Mapping[str, str]
    version: int

    @cached_property
    def description(self) -> FileDescription:
        """What the file takes and gives, and its metadata."""

        def tensors(named: Mapping[str, int]) -> tuple[FileTensor, ...]:
            return tuple(
                FileTensor(name, self.tensors[at].dtype, self.tensors[at].shape)
                for name, at in named.items()
            )

        interface = Interface(tensors(self.signature.inputs), tensors(self.signature.outputs))
        return FileDescription(interface, self.metadata, "LiteRT")


def bits_of(dtype: str) -> int:
    """Return the bits of one value."""
    return next(bits for name, bits in _TYPES.values() if name == dtype)


def read(path: Path) -> ModelFile:
    """Read the file at ``path``.

    Raises:
        ContractError: it is damaged, or no file of one graph whose sizes are fixed.
    """
    return parse(content_of(path), str(path))


def content_of(path: Path) -> bytes:
    """Return the bytes of the file at ``path``; raise ContractError where it cannot be read."""
    try:
        return storage.read_bytes(path)
    except OSError as error:
        raise ContractError(f"{path} cannot be read: {storage.reason(error)}") from error


def parse(data: bytes, name: str) -> ModelFile:
    """Read the bytes of a file; ``name`` is what an error calls it; see ``read``."""
    if data[4:8] != IDENTIFIER:
        raise ContractError(
            f"{name} is no LiteRT file: it has {data[4:8]!r} where such a file has {IDENTIFIER!r}"
        )
    file = FlatFile(data, name)
    root = file.root()
    buffers = tuple(_buffer(table) for table in root.children(4))
    graphs = tuple(root.children(2))
    if len(graphs) != 1:
        raise ContractError(f"{name} has {len(graphs)} graphs, expected one, which calls no other")
    graph = graphs[0]
    codes = tuple(_kind(table) for table in root.children(1))
    tensors = tuple(_tensor(table, buffers) for table in graph.children(0))
    count = len(tensors)
    return ModelFile(
        tensors,
        tuple(_operator(table, codes, count) for table in graph.children(3)),
        _places(graph, 1, count),
        _places(graph, 2, count),
        _signature(root, count),
        _metadata(root, buffers),
        root.scalar(0, "<I"),
    )


def _buffer(table: Table) -> np.ndarray:
    if table.scalar(1, "<Q") > 1 or table.scalar(2, "<Q") > 1:
        raise table.file.damaged("a constant lies behind its graph, which edgernn never writes")
    return table.array(0, "<u1")


def _kind(table: Table) -> str:
    code = max(table.scalar(0, "<b"), table.scalar(3, "<i"))
    return BUILTIN.get(code, f"operator {code}")


def _tensor(table: Table, buffers: tuple[np.ndarray, ...]) -> Tensor:
    shape = tuple(int(size) for size in table.array(0, "<i4"))
    code, place, name = table.scalar(1, "<b"), table.scalar(2, "<I"), table.text(3)
    signature = tuple(int(size) for size in table.array(7, "<i4"))
    what = f"the tensor {name!r}"
    if code not in _TYPES:
        raise table.file.damaged(f"{what} is of the type {code}, expected numbers")
    if len(shape) > _MOST_RANK or min(shape, default=1) < 1 or (signature and signature != shape):
        raise table.file.damaged(f"{what} has the shape {list(shape)}, expected fixed sizes")
    if place >= len(buffers) or table.has(6) or table.has(9) or table.has(10):
        raise table.file.damaged(f"{what} has no plain buffer")
    dtype, data = _TYPES[code][0], buffers[place] if len(buffers[place]) else None
    found = Tensor(name, shape, dtype, data, *_scales(table), variable=bool(table.scalar(5, "<b")))
    if data is None and found.bytes > _MOST_BYTES:
        raise table.file.damaged(f"{what} of the shape {list(shape)} takes {found.bytes} bytes")
    if data is not None and len(data) != found.bytes:
        raise table.file.damaged(f"{what} has {len(data)} bytes, expected {found.bytes}")
    return found


def _scales(table: Table) -> tuple[np.ndarray, np.ndarray, int, int, int]:
    """Return scales, zeros, their axis, the size of a block, and the tensor of the scales."""
    own = table.child(4)
    if own is None:
        return np.zeros(0, np.float32), np.zeros(0, np.int64), 0, 0, -1
    blocks = own.child(5) if own.scalar(4, "<B") == _BLOCKWISE else None
    size, place = (0, -1) if blocks is None else (blocks.scalar(2, "<i"), blocks.scalar(0, "<i"))
    return own.array(2, "<f4"), own.array(3, "<i8"), own.scalar(6, "<i"), size, place


def _operator(table: Table, codes: tuple[str, ...], count: int) -> Operator:
    code = table.scalar(0, "<I")
    if code >= len(codes):
        raise table.file.damaged(f"an operator is of the kind {code} of {len(codes)}")
    for field in (4, 12):
        if (options := table.child(field)) is not None:
            options.check()
    keeps = bool(table.array(7, "<u1").any())
    return Operator(
        codes[code], _places(table, 1, count, least=-1), _places(table, 2, count), keeps
    )


def _places(table: Table, field: int, count: int, *, least: int = 0) -> tuple[int, ...]:
    found = tuple(int(place) for place in table.array(field, "<i4"))
    if any(not least <= place < count for place in found):
        raise table.file.damaged(f"there are {count} tensors, and it names the tensors {found}")
    return found


def _signature(root: Table, count: int) -> Signature:
    """Return the signature; empty where a file has none."""
    found = tuple(root.children(7))
    if len(found) > 1 or (found and found[0].scalar(4, "<I")):
        raise ContractError(f"{root.file.name} has {len(found)} signatures, expected one")
    if not found:
        return Signature({}, {})

    def named(field: int) -> dict[str, int]:
        pairs = [(table.text(0), table.scalar(1, "<I")) for table in found[0].children(field)]
        names = dict(pairs)
        if len(names) != len(pairs) or any(place >= count for place in names.values()):
            raise root.file.damaged(f"its signature names {[name for name, _ in pairs]}")
        return names

    return Signature(named(0), named(1))


def _metadata(root: Table, buffers: tuple[np.ndarray, ...]) -> dict[str, str]:
    """Return the texts that the file says of itself."""
    found = {}
    for table in root.children(6):
        name, place = table.text(0), table.scalar(1, "<I")
        if place >= len(buffers):
            raise root.file.damaged(f"its metadata {name!r} has no buffer")
        try:
            found[name] = buffers[place].tobytes().decode()
        except UnicodeDecodeError:
            continue  # another program's, in its own bytes
    return found
