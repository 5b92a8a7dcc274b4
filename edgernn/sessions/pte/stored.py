"""What an ExecuTorch program stores its weights as: the constants of its own operators, which are
tables mostly, and those of its XNNPACK delegates.

A table of bytes has its scales in a table of one column, which the same ids read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from edgernn.bundle.stored_weights import OTHERS, StoredWeight
from edgernn.sessions.pte.program import DELEGATE, KERNEL, Instruction, Method, Program, Value
from edgernn.sessions.pte.xnnpack import BACKEND, Constant, Graph, read_graph

FORWARD = "forward"  # the method that computes
LOOKUP = "aten::embedding.out"
_PAIRS = frozenset(
    f"aten::{each}.out" for each in ("add", "sub", "mul", "div", "minimum", "maximum")
)
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Stored:
    """One constant: its shape, its numbers as they are stored, and their scales where they are
    rounded.

    ``scales`` is one for each row, or for each block of a row; ``looked_up`` whether a step reads
    one row of it; ``by_element`` whether it is no factor of a product, see ``Constant``.
    """

    shape: tuple[int, ...]
    dtype: str
    content: np.ndarray
    scales: np.ndarray
    looked_up: bool = False
    by_element: bool = False

    @property
    def bytes(self) -> int:
        """What it takes in the file, with its scales."""
        return int(self.content.nbytes + self.scales.nbytes)

    @property
    def is_matrix(self) -> bool:
        """Whether it is one; a number a channel with axes of 1 behind, as pictures are normalised
        by, is none, nor is what is added or multiplied element by element.
        """
        if self.by_element:
            return False
        return len(self.shape) == 2 or sum(size > 1 for size in self.shape) > 1

    def values(self) -> np.ndarray | None:
        """Return what it stands for, float32; None of numbers of 4 bits."""
        if self.dtype == "int4":
            return None
        numbers = self.content.astype(np.float32).reshape(self.shape)
        if not self.scales.size:
            return numbers
        scales = self.scales.reshape(self.scales.size, *[1] * (len(self.shape) - 1))
        return numbers * scales if len(scales) in (1, self.shape[0]) else None

    def as_weight(self, name: str, *, recurrent: bool = False) -> StoredWeight:
        """Return it as a row of the table of weights."""
        return StoredWeight(
            name=name,
            shape=self.shape,
            dtype=self.dtype,
            float32_bytes=prod(self.shape) * _FLOAT_BYTES,
            bytes=self.bytes,
            touched_bytes=self.bytes // self.shape[0] if self.looked_up else self.bytes,
            recurrent=recurrent,
            block_size=prod(self.shape) // self.scales.size if self.scales.size else 0,
        )


def graphs_of(program: Program, method: Method) -> list[Graph]:
    """Return the XNNPACK delegates of ``method``, in their order.

    Raises:
        ValueError, IndexError, KeyError, struct.error: one of them is damaged.
    """
    delegates = (each for each in method.delegates if each.backend == BACKEND)
    return [read_graph(each.content, program.named) for each in delegates]


def stored_constants(program: Program, graphs: Iterable[Graph]) -> list[Stored]:
    """Return every constant of the method that computes: tables and what else its own operators
    read, then those of ``graphs``, its delegates.
    """
    graphs, method = list(graphs), program.by_name[FORWARD]
    own = list(_own(program, method, graphs))
    return [*own, *(_of_delegate(constant) for graph in graphs for constant in graph.constants)]


def others(constants: Iterable[Stored]) -> tuple[StoredWeight, ...]:
    """Return one row for all constants that are no matrices; none where there is none."""
    small = [each for each in constants if not each.is_matrix]
    if not small:
        return ()
    size = sum(each.bytes for each in small)
    whole = sum(prod(each.shape) for each in small) * _FLOAT_BYTES
    return (StoredWeight(OTHERS, (), "float32", whole, size, size),)


def _own(program: Program, method: Method, graphs: list[Graph]) -> Iterator[Stored]:
    """Yield the constants that the method's own operators read, or give to a delegate; each
    once.
    """
    constants = {place: value for place, value in enumerate(method.values) if value.constant}
    tables = _tables(method, constants)
    scales = {scale for _, scale in tables.values() if scale is not None}
    for place, value in constants.items():
        if place in scales:
            continue
        looked_up, scale = tables.get(place, (False, None))
        by_element = [
            reads
            for each in method.instructions
            if place in each.arguments
            for reads in _by_element(method, each, place, graphs)
        ]
        yield Stored(
            value.shape,
            value.dtype,
            program.array(value).ravel(),
            np.empty(0, np.float32)
            if scale is None
            else program.array(constants[scale]).astype(np.float32).ravel(),
            looked_up,
            by_element=bool(by_element) and all(by_element),
        )


def _by_element(
    method: Method, call: Instruction, place: int, graphs: list[Graph]
) -> Iterator[bool]:
    """Yield of each time that a call is given the value ``place`` whether it takes it element by
    element.
    """
    if call.kind == KERNEL:
        yield method.operators[call.index] in _PAIRS
        return
    if call.kind != DELEGATE or method.delegates[call.index].backend != BACKEND:
        yield False
        return
    before = method.delegates[: call.index]
    graph = graphs[sum(each.backend == BACKEND for each in before)]
    for at, value in enumerate(call.arguments[: graph.inputs]):
        if value == place:
            yield graph.by_element[at]


def _tables(method: Method, constants: dict[int, Value]) -> dict[int, tuple[bool, int | None]]:
    """Return table → whether it is looked up in, and the place of its scales where it is of
    bytes.
    """
    reads = [
        each.arguments[:2]
        for each in method.instructions
        if each.kind == KERNEL and method.operators[each.index] == LOOKUP
    ]
    columns = {
        ids: table
        for table, ids in reads
        if table in constants and constants[table].shape[1:] == (1,)
    }
    found: dict[int, tuple[bool, int | None]] = {}
    for table, ids in reads:
        if table in constants:
            rounded = constants[table].dtype == "int8"
            found[table] = (True, columns.get(ids) if rounded else None)
    return found


def _of_delegate(constant: Constant) -> Stored:
    return Stored(
        constant.shape,
        constant.dtype,
        constant.content,
        constant.scales,
        by_element=constant.by_element,
    )
