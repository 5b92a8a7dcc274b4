"""A graph as a program: nodes that write storages, in order. Every shape is fixed. Those over
matrices of integers stand in ``integer_nodes``.

Each scratch storage is written by one node, or by several moves that share it out among them, and
only read from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from edgernn.export.to_c.expressions import Expression, loads
from edgernn.export.to_c.matrices import Matrix
from edgernn.export.to_c.views import Storage, View


@dataclass(frozen=True, eq=False)
class Node:
    """Writes ``out``; ``mixed`` where its values may be of several dtypes."""

    out: View
    mixed: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Raise ValueError where the shapes do not fit, as C would read what is not there."""
        views = (self.out, *self.reads())
        if not self.fits() or not (self.mixed or len({view.dtype for view in views}) == 1):
            shown = [f"{view.dtype} {list(view.shape)}" for view in views]
            raise ValueError(f"the values do not fit: {type(self).__name__} of {shown}")

    def fits(self) -> bool:
        """Return whether the shapes are as the node says."""
        return True

    def reads(self) -> tuple[View, ...]:
        """What it reads."""
        raise NotImplementedError

    def writes(self) -> tuple[View, ...]:
        """What it writes."""
        return (self.out,)


@dataclass(frozen=True, eq=False)
class Pointwise(Node):
    """Each element by itself."""

    expression: Expression
    mixed = True

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return all(view.shape == self.out.shape for view in self.reads())

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self._loads

    @cached_property
    def _loads(self) -> tuple[View, ...]:
        return tuple(loads(self.expression))


@dataclass(frozen=True, eq=False)
class Joined(Node):
    """Several of them in one loop over as many elements; ``out`` is that of the last.

    ``stored`` are those parts whose result is read by another node.
    """

    parts: tuple[Pointwise, ...]
    stored: tuple[Pointwise, ...] = ()
    mixed = True

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self._loads

    @cached_property
    def _loads(self) -> tuple[View, ...]:
        return tuple(view for part in self.parts for view in part.reads())

    def writes(self) -> tuple[View, ...]:
        """See ``Node.writes``."""
        return tuple(part.out for part in self.stored)

    def stores(self, part: Pointwise) -> bool:
        """Return whether the result of ``part`` is stored."""
        return any(own.out.storage is part.out.storage for own in self.stored)


@dataclass(frozen=True, eq=False)
class Move(Node):
    """A copy into a part of a storage; ``out`` has the shape of ``source``."""

    source: View

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return self.out.shape == self.source.shape

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Product(Node):
    """``out [M, N] = x [M, K] matrix [K, N] + bias [N]``, the matrix constant.

    ``segments`` are the parts of x along K, each contiguous ``[M, ·]``; several where M is 1.
    """

    segments: tuple[View, ...]
    matrix: Matrix = field(repr=False)
    bias: np.ndarray | None = field(default=None, repr=False)

    def fits(self) -> bool:
        """See ``Node.fits``."""
        rows, columns = self.out.shape
        depths = [view.shape[1] for view in self.segments]
        contiguous = all(view.contiguous and view.shape[0] == rows for view in self.segments)
        whole = (self.matrix.depth, self.matrix.rows) == (sum(depths), columns)
        return whole and self.out.contiguous and contiguous

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self.segments


@dataclass(frozen=True, eq=False)
class Matmul(Node):
    """``out [G, M, N] = left [G, M, K] right [G, K, N]``, neither constant, or not flat."""

    left: View
    right: View

    def fits(self) -> bool:
        """See ``Node.fits``."""
        groups, rows, depth = self.left.shape
        fit = self.right.shape[:2] == (groups, depth)
        return fit and self.out.shape == (groups, rows, self.right.shape[2])

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self.left, self.right


@dataclass(frozen=True, eq=False)
class Reduce(Node):
    """Over the last ``axes`` axes of ``source``: sum, mean, max or min."""

    source: View
    axes: int
    how: str

    def fits(self) -> bool:
        """See ``Node.fits``."""
        kept = self.source.rank - self.axes
        return self.source.size > 0 and self.out.shape == self.source.shape[:kept]

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Softmax(Node):
    """Over the last axis of ``source``, or the logarithm of it."""

    source: View
    logarithm: bool

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return self.source.size > 0 and self.out.shape == self.source.shape

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Normalise(Node):
    """``(x − mean) / √(variance + ε)`` over the last ``axes`` axes (layer norm, Ba et al. 2016)."""

    source: View
    axes: int
    epsilon: float

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return self.source.size > 0 and self.out.shape == self.source.shape

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Gather(Node):
    """Rows of ``table [before, rows, after]`` by ``ids``; ``out [before, ids, after]``."""

    table: View
    ids: View
    mixed = True

    def fits(self) -> bool:
        """See ``Node.fits``."""
        before, rows, after = self.table.shape
        if self.table.dtype != self.out.dtype or self.ids.dtype not in ("int64", "int32"):
            return False
        return rows > 0 and self.out.shape == (before, *self.ids.shape, after)

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self.table, self.ids


@dataclass(frozen=True, eq=False)
class Row(Gather):
    """One row of a table, read where it lies: nothing is copied."""

    def fits(self) -> bool:
        """See ``Node.fits``."""
        one = self.table.shape[0] == self.ids.size == 1
        return one and self.table.strides[2] == 1 and super().fits()

    def writes(self) -> tuple[View, ...]:
        """See ``Node.writes``."""
        return ()


@dataclass(frozen=True)
class Program:
    """A whole graph.

    Attributes:
        inputs, states, outputs: the contract's tensors by name.
        checks: the ids that are refused outside their range: storage and the number of rows.
        nodes: in order.
        activations: bits of the vectors that matrices of integers are multiplied with.
        placed: scratch storage → the part of a state that it is written to at once.
    """

    inputs: dict[str, Storage]
    states: dict[str, Storage]
    outputs: dict[str, Storage]
    checks: tuple[tuple[Storage, int], ...]
    nodes: tuple[Node, ...]
    activations: int = 16
    placed: Mapping[Storage, View] = field(default_factory=dict)

    def with_nodes(self, nodes: list[Node]) -> Program:
        """Return it with other nodes."""
        return replace(self, nodes=tuple(nodes))
