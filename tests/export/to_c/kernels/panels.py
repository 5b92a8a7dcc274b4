"""A program that multiplies by integer matrices and compares the results with those of whole
numbers, bit by bit: for machines that this one only emulates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.export.to_c.kernels.table import texts
from edgernn.export.to_c.matrices import IntegerMatrix, padded

KINDS = ("8_16", "8_8", "8_7", "4_16", "4_8")  # bits of the weights, of q
SIZES = (  # rows, depth, block
    (1, 1, 16),
    (16, 4, 16),
    (17, 17, 32),
    (16, 64, 64),
    (33, 100, 32),
    (20, 200, 128),
    (16, 256, 256),
    (5, 300, 256),
    (70, 33, 64),
)
_HEAD = """#include <stdint.h>
#define ALIGNED __attribute__((aligned(64)))
"""
_MAIN = """
static int differs(const float *made, const uint32_t *wanted, int rows)
{
    for (int r = 0; r < rows; ++r) {
        uint32_t bits;
        __builtin_memcpy(&bits, made + r, 4);
        if (bits != wanted[r]) { return 1; }
    }
    return 0;
}

/* 0, or the number of the first product that is wrong, from 1 on. */
int check(void)
{
    static float y[80]; /* of the most rows, filled up to panels */
"""
RUN = """
int main(void) { return check(); }
"""


@dataclass(frozen=True, eq=False)
class Case:
    """One product: what it is given, and what whole numbers give."""

    kind: str
    matrix: IntegerMatrix
    bias: np.ndarray
    q: np.ndarray
    unit: np.float32

    @property
    def wanted(self) -> np.ndarray:
        """``bias + unit · Σ_block scale · Σ_k w q``, each operation in float32."""
        made = np.zeros(self.matrix.rows, np.float32)
        for at in range(0, self.matrix.depth, self.matrix.block):
            own = slice(at, at + self.matrix.block)
            sums = self.matrix.integers[:, own].astype(np.int64) @ self.q[own].astype(np.int64)
            made += self.matrix.scales[:, at // self.matrix.block] * sums.astype(np.float32)
        return np.asarray(self.bias + self.unit * made)


def cases() -> list[Case]:
    """Return products of every kind and size, the largest integers that there are among them."""
    draw = np.random.default_rng(15)
    return [_case(draw, kind, size, full) for kind in KINDS for size in SIZES for full in (0, 1)]


def _case(draw: np.random.Generator, kind: str, size: tuple[int, int, int], full: int) -> Case:
    rows, depth, block = size
    weights, bits = map(int, kind.split("_"))
    low, most = -(1 << (weights - 1)), (1 << (bits - 1)) - 1
    if bits == 16:  # as many levels as the sums allow
        most = min(most, (2**31 - 1) // (-low * min(block, depth)))
    whole = draw.integers(low, -low, (rows, depth))
    q = draw.integers(-most, most + 1, depth)
    if full:
        whole, q = np.full_like(whole, low), np.where(q < 0, -most, most)
        q[: depth // 2] = most
    scales = (draw.normal(size=(rows, -(-depth // block))) / 50).astype(np.float32)
    matrix = IntegerMatrix(whole.astype(np.int8), scales, weights, block)
    bias = draw.normal(size=rows).astype(np.float32)
    return Case(kind, matrix, bias, q, np.float32(draw.random() / 100))


def program(all_cases: list[Case], *, spoiled: int | None = None) -> str:
    """Return the C of ``int check(void)``; of the case ``spoiled`` the last bit of a result is
    another.
    """
    data, calls = [], []
    for at, case in enumerate(all_cases):
        wanted = case.wanted.view(np.uint32).copy()
        wanted[-1] ^= at == spoiled
        matrix, bits = case.matrix, case.kind.partition("_")[2]
        filled = np.zeros(padded(matrix.depth), np.int64)
        filled[: matrix.depth] = case.q
        held = matrix.packed(case.bias, sums=case.kind in ("8_8", "8_7"))
        dtype = "int16_t" if bits == "16" else "int8_t"
        data += [
            _array(f"ALIGNED static const unsigned char w{at}", np.frombuffer(held, np.uint8)),
            _array(f"ALIGNED static const {dtype} q{at}", filled),
            _array(f"static const uint32_t y{at}", wanted),
        ]
        given = f"{float(case.unit)!r}f, {matrix.depth}, {min(matrix.block, matrix.depth)}"
        calls += [
            f"    product_{case.kind}(y, w{at}, q{at}, {given}, {matrix.rows});",
            f"    if (differs(y, y{at}, {matrix.rows})) {{ return {at + 1}; }}",
        ]
    kernels = texts({f"product_{case.kind}" for case in all_cases})
    return "\n".join([_HEAD, *kernels, *data, _MAIN, *calls, "    return 0;", "}", ""])


def _array(name: str, values: np.ndarray) -> str:
    return f"{name}[] = {{{', '.join(map(str, values.tolist()))}}};"
