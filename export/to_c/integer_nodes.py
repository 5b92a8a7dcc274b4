"""Nodes over matrices and tables of integers, and loops that run panel by panel of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgernn.export.to_c.matrices import PANEL, IntegerMatrix, padded
from edgernn.export.to_c.program import Joined, Node
from edgernn.export.to_c.views import View


@dataclass(frozen=True, eq=False)
class Quantise(Node):
    """``out [M, Kp]`` are the integers nearest to ``x [M, K] / unit [M]``, and zeros behind them.

    The unit of a row is its largest magnitude over ``levels``, so that the whole row fits; it is
    not finite where the row is not.
    """

    unit: View
    segments: tuple[View, ...]
    levels: int
    mixed = True

    @property
    def bits(self) -> int:
        """Of the integers."""
        return 16 if self.out.dtype == "int16" else 8

    def fits(self) -> bool:
        """See ``Node.fits``."""
        rows, room = self.out.shape
        depth = sum(view.shape[1] for view in self.segments)
        contiguous = all(view.contiguous and view.shape[0] == rows for view in self.segments)
        floats = all(view.dtype == "float32" for view in (self.unit, *self.segments))
        return contiguous and floats and depth <= room and self.unit.shape == (rows,)

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self.segments

    def writes(self) -> tuple[View, ...]:
        """See ``Node.writes``."""
        return self.out, self.unit


@dataclass(frozen=True, eq=False)
class IntegerProduct(Node):
    """``out [M, N] = unit [M] · (q [M, Kp] matrix [K, N]) + bias [N]``, the matrix constant.

    ``activations`` are the bits of q, which are 7 where two products may be added in 16 bits.
    """

    quantised: View
    unit: View
    matrix: IntegerMatrix = field(repr=False)
    activations: int
    bias: np.ndarray | None = field(default=None, repr=False)
    mixed = True

    @property
    def with_sums(self) -> bool:
        """Whether the sums of its integers are stored: some machines make q unsigned."""
        return self.matrix.bits == 8 and self.activations <= 8

    def fits(self) -> bool:
        """See ``Node.fits``."""
        rows, columns = self.out.shape
        fit = self.quantised.shape == (rows, padded(self.matrix.depth)) and self.unit.shape == (
            rows,
        )
        return fit and columns == self.matrix.rows and self.out.dtype == "float32"

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return self.quantised, self.unit


@dataclass(frozen=True, eq=False)
class GatherRows(Node):
    """Rows of a table of integers ``[rows, columns]`` by ``ids``; ``out [ids, columns]``."""

    table: IntegerMatrix = field(repr=False)
    ids: View
    mixed = True

    def fits(self) -> bool:
        """See ``Node.fits``."""
        wanted = (*self.ids.shape, self.table.depth)
        return self.ids.dtype in ("int64", "int32") and self.out.shape == wanted

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.ids,)


@dataclass(frozen=True, eq=False)
class IntegerRow(GatherRows):
    """One row of a table of integers, read where it lies: nothing is copied."""

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return self.ids.size == 1 and super().fits()

    def writes(self) -> tuple[View, ...]:
        """See ``Node.writes``."""
        return ()


@dataclass(frozen=True, eq=False)
class Gated(Node):
    """An elementwise loop that goes over some units at a time, behind the panels that it reads.

    Each of ``products`` has G gates of U rows, ``[R, G U]``; ``loop`` goes over ``[R, U]`` and
    reads gate g of a unit at ``g U + unit``. So of a product ``[R, G, 16]`` need to be there
    at once. ``out`` is that of the loop.
    """

    products: tuple[IntegerProduct, ...]
    loop: Joined
    mixed = True

    def fits(self) -> bool:
        """See ``Node.fits``."""
        whole = all(own.out.shape[1] % self.units == 0 for own in self.products)
        rows = {own.out.shape[0] for own in self.products}
        return whole and self.units % PANEL == 0 and rows == {self.loop.out.size // self.units}

    @property
    def units(self) -> int:
        """U."""
        return self.loop.out.size // self.products[0].out.shape[0]

    def local_floats(self, many: int) -> int:
        """Return how many floats of the products are there at once, with so many units."""
        return sum(own.out.size // self.units * many for own in self.products)

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        inner = {own.out.storage for own in self.products}
        outer = tuple(view for view in self.loop.reads() if view.storage not in inner)
        return (*(view for own in self.products for view in own.reads()), *outer)

    def writes(self) -> tuple[View, ...]:
        """See ``Node.writes``."""
        return self.loop.writes()

    def matrix_of(self, product: IntegerProduct) -> tuple[IntegerMatrix, np.ndarray | None]:
        """Return the matrix of ``product`` and its bias with the rows in the order in which they
        are read: for each 16 units those of each gate.
        """
        gates = product.out.shape[1] // self.units
        order = np.arange(gates * self.units).reshape(gates, -1, PANEL).transpose(1, 0, 2).ravel()
        bias = None if product.bias is None else product.bias[order]
        own = product.matrix
        return IntegerMatrix(own.integers[order], own.scales[order], own.bits, own.block), bias
