"""The text of products with matrices of floats."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from edgernn.export.to_c.kernels.table import texts
from edgernn.export.to_c.loops import Lines, Names
from edgernn.export.to_c.matrices import panels
from edgernn.export.to_c.plan import key_of
from edgernn.export.to_c.program import Node, Product

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
    several = [node for node in products if node.out.shape[0] > 1]
    made = texts(f"floats_{width}" for width in _widths(products))
    return [*made, *(_ROWS.replace("WIDTH", str(width)) for width in _widths(several))]


def _widths(products: list[Product]) -> list[int]:
    return sorted({width for node in products for width, _ in panels(node.out.shape[1])})


def product(node: Product, names: Names) -> Lines:
    """One call for each run of panels of one width."""
    rows, columns = node.out.shape
    depth = sum(own.shape[1] for own in node.segments)
    lines: Lines = []
    before = start = 0  # weights and columns of the panels before
    for width, run in groupby(panels(columns), key=lambda panel: panel[0]):
        counts = [count for _, count in run]
        base = names.floats(key_of(node)) + (f" + {before}" if before else "")
        out, total = names.address(node.out.cut(1, start, 1)), sum(counts)
        given = [f"{names.address(own)}, {own.shape[1]}" for own in node.segments]
        given += ["0, 0"] if len(given) == 1 else []
        call = f"({out}, {base}, {', '.join(given)}, {total}"
        more = f", {columns}, {rows}" if rows > 1 else ""
        lines.append(f"{'rows' if rows > 1 else 'product'}_{width}{call}{more});")
        before, start = before + len(counts) * width * (depth + 1), start + total
    return lines
