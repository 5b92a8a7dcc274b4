"""Matrices in blocks of low-bit integers: how weights are rounded, in numpy alone.

A row of a matrix ``[N, K]`` is cut into blocks of ``block_size`` values along K; each block keeps
integers and one scale::

    w ≈ q · s        q ∈ {-2^(b-1), …, 2^(b-1) - 1}

The scale of a block is the one of a few candidates around its largest value that leaves the least
squared error, which at 4 bits is better than the largest value alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.errors import UsageError

BITS = (8, 4)
FEW_STORED = 4  # bits in which a graph keeps values of which a row has two or three
BLOCK_SIZES = (16, 32, 64, 128, 256)  # what onnxruntime's MatMulNBits takes
_CANDIDATES = np.linspace(
    0.7, 1.0, 13, dtype=np.float32
)  # shares of the largest value that a scale may cover
_DAMPING = 0.01  # of the mean of the Hessian's diagonal, as in the paper


@dataclass(frozen=True, eq=False)
class Blocks:
    """A quantised matrix ``[N, K]``: integers ``[N, blocks, block_size]`` int8, scales ``[N,
    blocks]`` float32.
    """

    integers: np.ndarray
    scales: np.ndarray
    bits: int
    columns: int

    @property
    def block_size(self) -> int:
        """How many values share a scale."""
        return int(self.integers.shape[2])

    def values(self) -> np.ndarray:
        """Return the matrix that the integers stand for, float32 ``[N, K]``."""
        whole = self.integers * self.scales[:, :, None]
        return np.asarray(whole.reshape(len(whole), -1)[:, : self.columns], np.float32)

    def packed(self) -> np.ndarray:
        """Return the integers as unsigned bytes, ``2^(b-1)`` standing for 0: ``[N, blocks,
        block_size · bits / 8]``.

        Of two 4-bit values in a byte the first stands in the low half.
        """
        stored = (self.integers.astype(np.int16) + (1 << (self.bits - 1))).astype(np.uint8)
        return stored if self.bits == 8 else stored[:, :, 0::2] | (stored[:, :, 1::2] << 4)


def quantize_matrix(
    weight: np.ndarray, *, bits: int, block_size: int, hessian: np.ndarray | None = None
) -> Blocks:
    """Round ``weight``, float ``[N, K]``, to blocks; columns that fill no block are padded with
    zeros.

    With ``hessian [K, K]``, the mean of ``x xᵀ`` over what the matrix is multiplied with, a
    column's rounding error is made good in the columns after it, as far as they are multiplied with
    alike values (GPTQ, Frantar et al. 2022, https://arxiv.org/abs/2210.17323); without it each
    value is rounded to the nearest.

    Raises:
        UsageError: bits or block size that onnxruntime does not take, or a weight or moment that is
            not finite.
    """
    if bits not in BITS or block_size not in BLOCK_SIZES:
        raise UsageError(
            f"bits {bits} in blocks of {block_size}: expected bits of {BITS} and blocks of "
            f"{BLOCK_SIZES}"
        )
    _refuse_not_finite(weight)
    if hessian is not None and not np.isfinite(hessian).all():
        raise UsageError(
            "the model gives numbers that are not finite on calibration data; look for NaN in "
            "its weights"
        )
    columns = weight.shape[1]
    blocks = -(-columns // block_size)
    left = np.pad(
        np.array(weight, np.float32), ((0, 0), (0, blocks * block_size - columns))
    )  # what is still to be rounded
    spread = None if hessian is None else _spread(hessian, left.shape[1])
    integers = np.empty((len(weight), blocks, block_size), np.int8)
    scales = np.empty((len(weight), blocks), np.float32)
    for block in range(blocks):
        at = slice(block * block_size, (block + 1) * block_size)
        scales[:, block] = _best_scales(left[:, at], bits)
        if spread is None:
            integers[:, block] = _rounded(left[:, at], scales[:, block, None], bits)
        else:
            integers[:, block] = _rounded_in_turn(left, at, scales[:, block], bits, spread)
    return Blocks(integers, scales, bits, columns)


def few_valued(weight: np.ndarray) -> Blocks | None:
    """Return ``weight``, float ``[N, K]``, as it is, in blocks whose values are plus and minus a
    scale and zero, as 4-bit integers -1, 0 and 1: of the fewest bytes; None where there are none. A
    block of zeros has the scale 0, and 1 throughout: signs alone, as where a cell does not see its
    input.
    """
    rows = np.asarray(weight, np.float32)
    columns = rows.shape[1]

    def stored(size: int) -> tuple[int, int]:
        blocks = -(-columns // size)
        return blocks * (size * FEW_STORED // 8 + rows.itemsize), -size

    for size in sorted(BLOCK_SIZES, key=stored):
        blocks = -(-columns // size)
        whole = np.pad(rows, ((0, 0), (0, blocks * size - columns))).reshape(-1, blocks, size)
        scales = np.abs(whole).max(2)  # [N, blocks]
        integers = np.where(scales[:, :, None] == 0, 1, np.sign(whole)).astype(np.int8)
        if np.isfinite(scales).all() and np.array_equal(integers * scales[:, :, None], whole):
            return Blocks(integers, scales, FEW_STORED, columns)
    return None


def round_rows(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round each row of ``weight``, float ``[N, K]``, to 8 bits with one scale, which may be below
    0: integers ``[N, K]`` int8, scales ``[N]`` float32.

    Raises:
        UsageError: a weight is not finite.
    """
    _refuse_not_finite(weight)
    scales = _best_scales(np.asarray(weight, np.float32), 8)
    return _rounded(weight, scales[:, None], 8).astype(np.int8), scales


def _refuse_not_finite(weight: np.ndarray) -> None:
    if not np.isfinite(weight).all():
        raise UsageError(
            "a weight is not finite, so it cannot be quantised; train or import the model again"
        )


def _best_scales(block: np.ndarray, bits: int) -> np.ndarray:
    """Return the scale ``[N]`` of each row of ``block [N, block_size]`` that leaves the least
    squared error.
    """
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    extreme = np.take_along_axis(
        block, np.abs(block).argmax(1)[:, None], 1
    )  # of the largest magnitude, with its sign
    best_error = np.full((len(block), 1), np.inf)
    best = np.ones((len(block), 1), np.float32)
    for share in _CANDIDATES:
        for end in (
            lowest,
            highest,
        ):  # the extreme value on the end that reaches further, or on the other
            scale = (extreme * share / end).astype(np.float32)
            scale[np.abs(scale) < np.finfo(np.float32).tiny] = (
                1  # zeros, or values that vanish beside any other
            )
            error = np.square(_rounded(block, scale, bits) * scale - block, dtype=np.float64).sum(
                1, keepdims=True
            )
            better = error < best_error
            best_error, best = np.where(better, error, best_error), np.where(better, scale, best)
    return best[:, 0]


def _rounded(values: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
    rounded: np.ndarray = np.clip(
        np.rint(values / scale), -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    )
    return rounded


def _rounded_in_turn(
    left: np.ndarray, at: slice, scale: np.ndarray, bits: int, spread: np.ndarray
) -> np.ndarray:
    """Round the columns ``at`` of ``left [N, K]`` one after the other, each error spread over the
    columns to its right.
    """
    made = []
    errors = np.empty((len(left), at.stop - at.start), np.float32)
    for index, column in enumerate(range(at.start, at.stop)):
        q = _rounded(left[:, column], scale, bits)
        errors[:, index] = (left[:, column] - q * scale) / spread[column, column]
        left[:, column + 1 : at.stop] -= (
            errors[:, index, None] * spread[column, column + 1 : at.stop]
        )
        made.append(q)
    left[:, at.stop :] -= errors @ spread[at, at.stop :]
    return np.stack(made, 1)


def _spread(hessian: np.ndarray, columns: int) -> np.ndarray:
    """Return the upper Cholesky factor of the inverse of ``hessian [K, K]``, damped, and padded to
    ``columns``.
    """
    whole = np.zeros((columns, columns))
    whole[: len(hessian), : len(hessian)] = hessian
    mean = max(float(np.trace(hessian)) / len(hessian), float(np.finfo(np.float32).tiny))
    whole[np.diag_indices(columns)] += _DAMPING * mean
    return np.linalg.cholesky(np.linalg.inv(whole)).T.astype(np.float32)
