"""What an XNNPACK delegate of an ExecuTorch program computes with: its operators, and its constants
as they are stored; as ``runtime_schema.fbs`` of ExecuTorch's XNNPACK backend says.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from edgernn.sessions.pte.flow import PAIRS, Node, check, node_of
from edgernn.storage.flatbuffer import Table

BACKEND = "XnnpackBackend"
_HEADER = struct.Struct("<4x4sHIIIQ")  # magic, its length, place and size of graph and of constants
_MAGIC, _IDENTIFIERS = b"XH00", (b"XN00", b"XN01")
_DTYPES = {  # XNNPACK's number → our word, numpy's, and how many values a byte has
    1: ("float32", "<f4", 1),
    2: ("float16", "<f2", 1),
    3: ("int8", "i1", 1),
    4: ("uint8", "u1", 1),
    5: ("int32", "<i4", 1),
    6: ("int8", "i1", 1),
    7: ("int32", "<i4", 1),
    8: ("int4", "u1", 2),
    10: ("int4", "u1", 2),
    12: ("int32", "<i4", 1),
}
_PER_CHANNEL, _PER_TENSOR, _PER_GROUP = 1, 2, 4  # of the union of how a value is rounded


@dataclass(frozen=True)
class Constant:
    """One constant of a delegate.

    Attributes:
        shape: of the tensor.
        dtype: as it is stored.
        content: the numbers, flat; of 4 bits two in a byte.
        scales: one for each row, or for each block of a row; empty where it is not rounded.
        by_element: whether all that reads it takes it element by element with something else.
    """

    shape: tuple[int, ...]
    dtype: str
    content: np.ndarray
    scales: np.ndarray
    by_element: bool = False

    @property
    def bytes(self) -> int:
        """What it takes in the file, its scales included."""
        return int(self.content.nbytes + self.scales.nbytes)


@dataclass(frozen=True)
class Graph:
    """One delegate: its operators in order, how many values come in and go out, its constants, and
    which values come in that all that reads them takes element by element.
    """

    operators: tuple[str, ...]
    inputs: int
    outputs: int
    constants: tuple[Constant, ...]
    by_element: tuple[bool, ...]


def read_graph(content: memoryview, named: Mapping[str, memoryview]) -> Graph:
    """Read one delegate; ``named`` is the program's data by name.

    Raises:
        ValueError, IndexError, KeyError: it is damaged.
    """
    magic, _, start, size, base, length = _HEADER.unpack_from(content)
    if magic != _MAGIC:
        raise ValueError(f"a delegate begins with {magic!r}, expected {_MAGIC!r}")
    if start + size > len(content) or (length and base + length > len(content)):
        raise ValueError(f"a delegate of {len(content)} bytes is cut off")
    inner = content[start : start + size]
    found = bytes(inner[4:8])
    root = Table.root(inner, found if found in _IDENTIFIERS else _IDENTIFIERS[0])
    held = _held(root, content[base : base + length], named)
    entries = [(entry.whole(0, "B"), entry.table(1)) for entry in root.tables(2)]
    values = [_value(kind, entry, held) for kind, entry in entries]
    nodes = tuple(node_of(entry) for entry in root.tables(1))
    inputs, outputs = root.numbers(4, "I"), root.numbers(5, "I")
    check(
        nodes,
        [shape for shape, _ in values],
        constants={place for place, (_, constant) in enumerate(values) if constant is not None},
        inputs=inputs,
        outputs=outputs,
    )
    return Graph(
        operators=tuple(node.operator for node in nodes),
        inputs=len(inputs),
        outputs=len(outputs),
        constants=tuple(
            replace(constant, by_element=_by_element(nodes, place))
            for place, (_, constant) in enumerate(values)
            if constant is not None
        ),
        by_element=tuple(_by_element(nodes, int(place)) for place in inputs),
    )


def _by_element(nodes: tuple[Node, ...], place: int) -> bool:
    readers = [node.operator for node in nodes if place in node.reads]
    return bool(readers) and all(operator in PAIRS for operator in readers)


def _held(root: Table, beside: memoryview, named: Mapping[str, memoryview]) -> list[memoryview]:
    """Return the constants' bytes in the order in which values number them."""
    held = []
    for entry in root.tables(8):
        key, start, size = entry.text(2), entry.whole(0, "Q"), entry.whole(1, "Q")
        part = named[key] if key else beside[start : start + size]
        if not key and len(part) < size:
            raise ValueError("a constant of a delegate is cut off")
        held.append(part)
    return held


def _value(
    kind: int, value: Table | None, held: list[memoryview]
) -> tuple[tuple[int, ...], Constant | None]:
    """Return the shape of one value, and what it holds where it is a constant."""
    tensor = value if kind == 1 or value is None else value.table(0)
    if tensor is None or value is None:
        raise ValueError("a delegate has a value that is no tensor")
    shape = tuple(tensor.numbers(2, "I"))
    index, number = tensor.whole(3, "I"), tensor.whole(0, "h")
    if not index:
        return shape, None
    if number not in _DTYPES:
        raise ValueError(f"a constant of XNNPACK's datatype {number}, which is none of those known")
    dtype, stored, packed = _DTYPES[number]
    count = -(-prod(shape) // packed)
    scales = np.empty(0, np.float32)
    if kind != 1:
        scales = _scales(value.whole(1, "B"), value.table(2), held)
    return shape, Constant(shape, dtype, np.frombuffer(held[index], stored, count), scales)


def _scales(kind: int, rounding: Table | None, held: list[memoryview]) -> np.ndarray:
    if rounding is None:
        raise ValueError("a rounded constant has no scales")
    if kind == _PER_TENSOR:
        return np.array([rounding.number(0, "f")], np.float32)
    if kind not in (_PER_CHANNEL, _PER_GROUP):
        return np.empty(0, np.float32)
    written = rounding.array(0, "f4")
    place, count = (2, 3) if kind == _PER_CHANNEL else (4, 5)
    index, many = rounding.whole(place, "I"), rounding.whole(count, "I")
    if not index:
        return written
    bf16 = kind == _PER_GROUP
    part = np.frombuffer(held[index], "<u2" if bf16 else "<f4", many)
    return (part.astype(np.uint32) << 16).view(np.float32) if bf16 else part
