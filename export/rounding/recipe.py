"""How the matrices of a graph are stored: bits and block size for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edgernn.export.rounding.blocks import BLOCK_SIZES
from edgernn.formats.promise import NARROW

NARROW_BITS = 8
_SCALE_BYTES = 4


@dataclass(frozen=True)
class Rounding:
    """How one matrix is stored: integers of ``bits`` in blocks of at most ``block_size``."""

    bits: int
    block_size: int


@dataclass(frozen=True, eq=False)
class Recipe:
    """How the matrices of a graph are stored.

    Attributes:
        default: of every matrix that ``layers`` does not name; one of ``NARROW`` rows or fewer
            keeps 8 bits.
        layers: by layer, by its name with dots (``recurrent.layers.0.from_hidden``).
        hessians: by layer, the mean of ``x xᵀ`` over its inputs on calibration data; see
            ``blocks.quantize_matrix``.
        few: the layers whose matrices have two or three values a row and are stored as they are.
        folded: whether the embedding goes into a table of gate pre-activations with the first
            layer's input weights; None leaves it to the model's size.
    """

    default: Rounding
    layers: Mapping[str, Rounding] = field(default_factory=dict)
    hessians: Mapping[str, np.ndarray] = field(default_factory=dict)
    few: frozenset[str] = frozenset()
    folded: bool | None = None

    def chosen(self, layer: str, rows: int) -> Rounding:
        """Return what is chosen for the matrix of ``layer``."""
        if layer in self.layers or rows > NARROW:
            return self.layers.get(layer, self.default)
        return replace(self.default, bits=max(self.default.bits, NARROW_BITS))

    def rounding(self, layer: str, columns: int, *, rows: int) -> Rounding:
        """Return how the matrix of ``layer`` is stored: of the block sizes up to the chosen one,
        that of the fewest bytes.

        Of columns that the chosen size does not divide, a smaller one may pad fewer.
        """
        chosen = self.chosen(layer, rows)
        sizes = [size for size in BLOCK_SIZES if size <= chosen.block_size] or [BLOCK_SIZES[0]]

        def row_bytes(size: int) -> tuple[int, int]:
            blocks = -(-columns // size)
            return blocks * (size * chosen.bits // 8 + _SCALE_BYTES), -size

        return Rounding(chosen.bits, min(sizes, key=row_bytes))
