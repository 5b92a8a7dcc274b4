"""How many bits the integers of a matrix need where they are few: C packs those of a matrix whose
rows have two or three values.
"""

from __future__ import annotations

import numpy as np

_STORED = 4  # bits of such a matrix in the graph that C is generated from
WIDE = 16  # bits of activations with which they are multiplied


def few_bits(integers: np.ndarray, bits: int, activations: int) -> int:
    """Return how many bits an integer takes in C.

    Args:
        integers: of a constant matrix, as the graph has them, with 0 in the middle.
        bits: of each in the graph.
        activations: bits of what the matrix is multiplied with.

    Returns:
        1 where all are -1 and 1, 2 where there is also 0, else ``bits``.
    """
    if bits != _STORED or activations != WIDE or integers.size == 0 or np.abs(integers).max() > 1:
        return bits
    return 1 if np.all(integers) else 2


def unpacked(stored: np.ndarray, columns: int) -> np.ndarray:
    """Return the integers of a matrix of 4 bits as it lies in a graph: ``stored`` uint8 ``[N, …]``,
    the first of two in a byte low, 8 standing for 0; int8 ``[N, columns]``.
    """
    halves = np.stack([stored & 15, stored >> 4], -1).reshape(len(stored), -1)
    return halves[:, :columns].astype(np.int8) - 8
