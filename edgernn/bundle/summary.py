"""A wide output in a few numbers, for recorded runs: what a device compares where all V values
would be too many.

Of ``OUTPUT [B, 1, V]``, a step's output whose last axis is long, five tensors are kept:

  OUTPUT.columns      int64 [C]             ids spread evenly over 0 to V - 1, both among them;
                                            ascending, of all steps
  OUTPUT.at_columns   OUTPUT's [B, 1, C]    its values there
  OUTPUT.largest_ids  int64 [B, 1, K]       the ids of its largest values, largest first, the lower
                                            id first where two agree
  OUTPUT.largest      OUTPUT's [B, 1, K]    those values
  OUTPUT.log_sum      OUTPUT's [B, 1]       the natural logarithm of the sum of exp over all V
                                            values

The last three and ``at_columns`` are taken of every step. A device compares its own values at
``columns``, at ``largest_ids``, and its own ``log_sum``: three tensors, judged as any other.
"""

from __future__ import annotations

import numpy as np

WIDEST = 512  # an output that is no wider is always kept whole
COLUMNS, LARGEST = 256, 32

NAME_COLUMNS, AT_COLUMNS, LARGEST_IDS, LARGEST_VALUES, LOG_SUM = (
    "columns",
    "at_columns",
    "largest_ids",
    "largest",
    "log_sum",
)


def spread_columns(size: int) -> np.ndarray:
    """Return the ids whose values are kept of ``size`` of them, more than ``COLUMNS``: int64
    ``[C]``, ascending.
    """
    return np.round(np.linspace(0, size - 1, COLUMNS)).astype(np.int64)


def largest_ids(values: np.ndarray, count: int = LARGEST) -> np.ndarray:
    """Return the ids of the ``count`` largest of ``values [..., V]``, or of all where V is less:
    int64 ``[..., K]``.

    The largest comes first, and of equal ones the lower id; what is no number comes after all
    numbers.
    """
    rows = values.reshape(-1, values.shape[-1])
    count = min(count, rows.shape[1])
    least = np.partition(rows, rows.shape[1] - count, axis=1)[:, rows.shape[1] - count]
    found = np.empty((len(rows), count), np.int64)
    for row, bound, ids in zip(rows, least, found, strict=True):
        # with more than one at the bound, more than ``count``
        candidates = np.flatnonzero(~(row < bound))
        ids[:] = candidates[np.argsort(-row[candidates], kind="stable")[:count]]
    return found.reshape(*values.shape[:-1], count)


def log_sum(values: np.ndarray) -> np.ndarray:
    """Return log Σ_v exp(x_v) over the last axis of ``values [..., V]``, in their dtype; not finite
    where one is not.
    """
    with np.errstate(invalid="ignore"):  # infinities become NaN
        top = values.max(-1, keepdims=True).astype(np.float64)
        sums: np.ndarray = top[..., 0] + np.log(np.exp(values - top).sum(-1))
    return sums.astype(values.dtype)


def summarise(
    name: str, values: np.ndarray, *, columns: np.ndarray, ids: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what is compared of the output ``name``, ``values [B, 1, V]``: by name its values at
    ``columns [C]`` and at ``ids [B, 1, K]``, and its log-sum."""
    return {
        f"{name}.{AT_COLUMNS}": values[..., columns],
        f"{name}.{LARGEST_VALUES}": np.take_along_axis(values, ids, -1),
        f"{name}.{LOG_SUM}": log_sum(values),
    }
