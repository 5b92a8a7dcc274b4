"""The graph of an ``.onnx`` file as it is without the onnx package: operators, constants,
sub-graphs; what lies in a weight stays where it is until ``OnnxTensor.values`` asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgernn.errors import ContractError
from edgernn.sessions.ort.proto_fields import Data, Field, integers

# By TensorProto.DataType: name and numpy's dtype; what numpy lacks is read as bytes.
DTYPES: dict[int, tuple[str, str]] = {
    1: ("float32", "<f4"),
    2: ("uint8", "u1"),
    3: ("int8", "i1"),
    4: ("uint16", "<u2"),
    5: ("int16", "<i2"),
    6: ("int32", "<i4"),
    7: ("int64", "<i8"),
    9: ("bool", "?"),
    10: ("float16", "<f2"),
    11: ("float64", "<f8"),
    12: ("uint32", "<u4"),
    13: ("uint64", "<u8"),
    16: ("bfloat16", "<u2"),
    21: ("uint4", "u1"),
    22: ("int4", "u1"),
}
_TYPED = {4: "<f4", 10: "<f8"}  # field → dtype of the packed field; 5, 7 and 11 hold varints
UNKNOWN = ("other", "u1")
Dims = tuple[int | str | None, ...]


@dataclass(frozen=True, eq=False)
class OnnxTensor:
    """A constant: its name, dtype, shape, and where its values lie; ``external`` where they are in
    another file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    external: bool
    content: tuple[Field, ...]
    data: Data
    kind: int

    def values(self) -> np.ndarray:
        """Return the values; raise ContractError where they are in another file, or not as many as
        the shape says.
        """
        stored = DTYPES.get(self.kind, UNKNOWN)
        parts = [np.zeros(0, stored[1])]
        for number, value in self.content:
            if number == 9 and isinstance(value, slice):
                parts.append(np.frombuffer(self.data[value], stored[1]))
            elif number in _TYPED and isinstance(value, slice):
                parts.append(np.frombuffer(self.data[value], _TYPED[number]).astype(stored[1]))
            elif number in {5, 7, 11}:
                small = np.array(integers(self.data, value), np.int64)
                half = small.astype(np.uint16).view("<f2") if stored[1] == "<f2" else small
                parts.append(half.astype(stored[1]))
        found = np.concatenate(parts)
        if self.external or found.size != prod(self.shape):
            raise ContractError(
                f"the constant {self.name} has {found.size} values, expected shape "
                f"{list(self.shape)}"
            )
        return found.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """One operator: its type and domain, the names of what it reads and makes, and its attributes
    by name.
    """

    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def graphs(self) -> Iterator[OnnxGraph]:
        """Yield the sub-graphs of a loop or a branch."""
        for value in self.attributes.values():
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, OnnxGraph):
                    yield entry

    def tensors(self) -> Iterator[OnnxTensor]:
        """Yield the constants among the attributes."""
        for value in self.attributes.values():
            for entry in value if isinstance(value, list) else [value]:
                if isinstance(entry, OnnxTensor):
                    yield entry


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """A graph or sub-graph: operators in order, constants by name; inputs and outputs with their
    shapes.

    A dimension is a size, a name, or None where the file says nothing.
    """

    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, OnnxTensor]
    inputs: Mapping[str, Dims]
    outputs: Mapping[str, Dims]
    sparse: int

    def all_nodes(self) -> Iterator[OnnxNode]:
        """Yield the operators in order, each before those of its sub-graphs."""
        for node in self.nodes:
            yield node
            for inner in node.graphs():
                yield from inner.all_nodes()

    def all_graphs(self) -> Iterator[OnnxGraph]:
        """Yield this graph and every sub-graph."""
        yield self
        for node in self.nodes:
            for inner in node.graphs():
                yield from inner.all_graphs()


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A whole file: its graph, the operator sets that it asks for, and how many functions of its
    own it has.
    """

    graph: OnnxGraph
    domains: tuple[str, ...]
    functions: int
    training: int


@dataclass(frozen=True)
class Sparse:
    """A sparse constant, which no file of edgernn's has."""


def has_sparse(node: OnnxNode) -> bool:
    """Return whether an attribute of ``node`` is a sparse constant."""
    return any(
        isinstance(entry, Sparse)
        for value in node.attributes.values()
        if isinstance(value, list)
        for entry in value
    )
