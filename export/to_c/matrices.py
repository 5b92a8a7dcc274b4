"""Constant matrices, and how they lie in the file of weights.

Floats lie in panels of 64 and 32 rows, as wide as their sums are kept in registers. Integers lie in
panels of 16 rows, which every set of instructions takes as it is::

    16 biases | for each block of k:  16 scales, 16 sums of a row's integers, lines of 64 bytes

in which the sums are there where activations are made unsigned by some machines. A line of 8-bit
weights holds 4 values of each row, one behind the other. A line of 4-bit weights holds 8: in byte j
of a row the value j in the low half, the value j + 4 in the high half, 8 standing for 0. A line of
1-bit weights holds 32, a bit that is set standing for -1 and else for 1; one of 2 bits holds 16, of
whose bits the low one stands for 1 and the high one for -1. Both begin in the low bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from edgernn.parity.structure.few_values import few_bits

PANEL = 16  # rows of a panel of integers
LINE = 64  # bytes
WIDTHS = (64, 32)  # rows of a panel of floats
_PER_LINE = {8: 4, 4: 8, 2: 16, 1: 32}  # bits → values of each row in a line
_FILLED = 16  # how many integers of a vector machines load at once


@dataclass(frozen=True, eq=False)
class FloatMatrix:
    """A matrix ``[K, N]`` in float32."""

    values: np.ndarray = field(repr=False)

    @property
    def depth(self) -> int:
        """K."""
        return int(self.values.shape[0])

    @property
    def rows(self) -> int:
        """N."""
        return int(self.values.shape[1])


@dataclass(frozen=True, eq=False)
class IntegerMatrix:
    """A matrix ``[N, K]`` of integers of ``bits`` bits in blocks along K, each with a scale.

    Attributes:
        integers: int8 ``[N, K]``.
        scales: float32 ``[N, blocks]``.
        bits: 8 or 4; 2 where they are -1, 0 and 1; 1 where they are -1 and 1.
        block: how many values along K share a scale.
    """

    integers: np.ndarray = field(repr=False)
    scales: np.ndarray = field(repr=False)
    bits: int
    block: int

    @property
    def depth(self) -> int:
        """K."""
        return int(self.integers.shape[1])

    @property
    def rows(self) -> int:
        """N."""
        return int(self.integers.shape[0])

    @property
    def per_line(self) -> int:
        """How many values along K a line holds of each row."""
        return _PER_LINE[self.bits]

    @property
    def row_bytes(self) -> int:
        """How many bytes a row of a table takes."""
        return self.depth if self.bits == 8 else padded(self.depth, 2) // 2

    def packed_for(self, activations: int) -> IntegerMatrix:
        """Return it in as few bits as its integers need, multiplied with so many bits."""
        bits = few_bits(self.integers, self.bits, activations)
        return self if bits == self.bits else replace(self, bits=bits)

    def panel_bytes(self, sums: bool) -> int:
        """Return how many bytes a panel takes."""
        total = 4 * PANEL
        for at in range(0, self.depth, self.block):
            count = min(self.block, self.depth - at)
            total += (8 if sums else 4) * PANEL + padded(
                count, self.per_line
            ) // self.per_line * LINE
        return total

    def packed(self, bias: np.ndarray | None, *, sums: bool) -> bytes:
        """Return its panels; see the module. ``sums``: with those of the rows' integers."""
        parts = []
        for start in range(0, self.rows, PANEL):
            rows = slice(start, start + PANEL)
            parts.append(_filled(None if bias is None else bias[rows], "<f4"))
            for block, at in enumerate(range(0, self.depth, self.block)):
                own = self.integers[rows, at : at + self.block]
                parts.append(_filled(self.scales[rows, block], "<f4"))
                if sums:
                    parts.append(_filled(own.sum(1, dtype=np.int32), "<i4"))
                parts.append(self._lines(own))
        return b"".join(parts)

    def _lines(self, own: np.ndarray) -> bytes:
        """Return the lines of one block of one panel, ``own [n, k]``."""
        across = self.per_line
        filled = np.zeros((PANEL, padded(own.shape[1], across)), np.int8)
        filled[: own.shape[0], : own.shape[1]] = own
        lines = filled.reshape(PANEL, -1, across).transpose(1, 0, 2)  # [lines, 16, 4 or 8]
        if self.bits == 8:
            return lines.tobytes()
        if self.bits < 4:
            signs = [lines < 0] if self.bits == 1 else [lines > 0, lines < 0]
            flags = np.stack(signs, -1).reshape(-1, PANEL, 32)
            return bytes(np.packbits(flags, axis=-1, bitorder="little").tobytes())
        raised = (lines + 8).astype(np.uint8)
        return bytes((raised[:, :, :4] | raised[:, :, 4:] << 4).tobytes())

    def table(self) -> bytes:
        """Return it row by row, as a table is read: the bytes of a row, two values of 4 bits in
        one, the first one low.
        """
        if self.bits == 8:
            return self.integers.tobytes()
        raised = np.zeros((self.rows, padded(self.depth, 2)), np.uint8)
        raised[:, : self.depth] = (self.integers + 8).astype(np.uint8)
        return bytes((raised[:, 0::2] | raised[:, 1::2] << 4).tobytes())


Matrix = FloatMatrix | IntegerMatrix


def padded(count: int, to: int = _FILLED) -> int:
    """Return ``count``, or the next multiple of ``to``."""
    return -(-count // to) * to


def _filled(values: np.ndarray | None, dtype: str) -> bytes:
    """Return 16 values, zeros where there are fewer."""
    made = np.zeros(PANEL, dtype)
    if values is not None:
        made[: len(values)] = values
    return made.tobytes()


def panels(rows: int) -> list[tuple[int, int]]:
    """Return the panels that ``rows`` rows of a matrix of floats are cut into: how many rows each
    holds, and how many of them are there; the rest is zeros.
    """
    wide, narrow = WIDTHS
    found = [(wide, wide)] * (rows // wide)
    rest = rows % wide
    return [*found, (narrow if rest <= narrow else wide, rest)] if rest else found


def packed(matrix: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """Return a matrix of floats ``[K, N]`` as its product reads it: panel by panel, first the bias
    of its rows, then for each k the weights of all of them.
    """
    depth, rows = matrix.shape
    parts, start = [], 0
    for width, count in panels(rows):
        panel = np.zeros((depth + 1, width), np.float32)
        panel[1:, :count] = matrix[:, start : start + count]
        if bias is not None:
            panel[0, :count] = bias[start : start + count]
        parts.append(panel.ravel())
        start += count
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
