"""Weights of ncnn in 8 bits."""

from __future__ import annotations

import numpy as np

_LEVELS = 127


def rounded_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a matrix ``[N, K]`` as integers of -127 to 127, and each row's largest magnitude
    ``[N]``, which 127 stands for; 1 for a row of zeros.
    """
    largest = np.abs(matrix).max(1, initial=0).astype(np.float32)
    largest = np.where(largest > 0, largest, np.float32(1))
    return np.rint(matrix / largest[:, None] * _LEVELS).astype(np.int8), largest


def rounded_table(table: np.ndarray) -> tuple[np.ndarray, float]:
    """Return a table as integers of -127 to 127, and how many of them 1 is."""
    largest = float(np.abs(table).max(initial=0)) or 1.0
    scale = _LEVELS / largest
    return np.rint(table * scale).astype(np.int8), scale
