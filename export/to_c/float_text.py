"""The text of products with matrices of floats."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from edgernn.export.to_c.loops import Lines, Names
from edgernn.export.to_c.matrices import panels
from edgernn.export.to_c.program import Node, Product

_PRODUCT = """
/* y[0 .. rows) = the bias, and the sums over x0 and x1, of panels of WIDTH rows. Put into its
   callers by gcc, it would keep its sums in memory. */
__attribute__((noinline)) static void product_WIDTH(
    float *restrict y, const float *restrict w, const float *restrict x0, int n0,
    const float *restrict x1, int n1, int rows)
{
    for (; rows > 0; rows -= WIDTH, y += WIDTH) {
        const int count = rows < WIDTH ? rows : WIDTH;
        float sums[WIDTH];
        for (int r = 0; r < WIDTH; ++r) { sums[r] = w[r]; }
        w += WIDTH;
        for (int k = 0; k < n0; ++k, w += WIDTH) {
            const float x = x0[k];
            for (int r = 0; r < WIDTH; ++r) { sums[r] += w[r] * x; }
        }
        for (int k = 0; k < n1; ++k, w += WIDTH) {
            const float x = x1[k];
            for (int r = 0; r < WIDTH; ++r) { sums[r] += w[r] * x; }
        }
        for (int r = 0; r < count; ++r) { y[r] = sums[r]; }
    }
}
"""
_ROWS = """
/* The same for `count` vectors, panel by panel, so that each weight is read from memory once: y of
   the next one lies `apart` floats behind. */
__attribute__((noinline)) static void rows_WIDTH(
    float *restrict y, const float *restrict w, const float *restrict x0, int n0,
    const float *restrict x1, int n1, int rows, int apart, int count)
{
    for (; rows > 0; rows -= WIDTH, y += WIDTH, w += WIDTH * (n0 + n1 + 1)) {
        const int own = rows < WIDTH ? rows : WIDTH;
        for (int b = 0; b < count; ++b) {
            product_WIDTH(y + b * apart, w, x0 + b * n0, n0, x1 + b * n1, n1, own);
        }
    }
}
"""


def functions(nodes: Iterable[Node]) -> list[str]:
    """Return the functions that the products among ``nodes`` call."""
    products = [node for node in nodes if isinstance(node, Product)]
    widths = {width for node in products for width, _ in panels(node.out.shape[1])}
    texts = [_PRODUCT, _ROWS] if any(node.out.shape[0] > 1 for node in products) else [_PRODUCT]
    return [text.replace("WIDTH", str(width)) for width in sorted(widths) for text in texts]


def product(node: Product, names: Names) -> Lines:
    """One call for each run of panels of one width."""
    rows, columns = node.out.shape
    depth = sum(own.shape[1] for own in node.segments)
    lines: Lines = []
    before = start = 0  # weights and columns of the panels before
    for width, run in groupby(panels(columns), key=lambda panel: panel[0]):
        counts = [count for _, count in run]
        base = names.floats(id(node)) + (f" + {before}" if before else "")
        out, total = names.address(node.out.cut(1, start, 1)), sum(counts)
        given = [f"{names.address(own)}, {own.shape[1]}" for own in node.segments]
        given += ["0, 0"] if len(given) == 1 else []
        call = f"({out}, {base}, {', '.join(given)}, {total}"
        more = f", {columns}, {rows}" if rows > 1 else ""
        lines.append(f"{'rows' if rows > 1 else 'product'}_{width}{call}{more});")
        before, start = before + len(counts) * width * (depth + 1), start + total
    return lines
