"""The text of each kind of node in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgernn.export.to_c import (
    float_text,
    gate_text,
    integer_nodes,
    integer_text,
    loop_text,
    selections,
    sums,
)
from edgernn.export.to_c import program as kinds
from edgernn.export.to_c.expressions import Apply, Expression
from edgernn.export.to_c.functions import FUNCTIONS
from edgernn.export.to_c.loops import Lines, Names, loop, nest, over
from edgernn.export.to_c.plan import C_TYPES
from edgernn.export.to_c.program import Node
from edgernn.export.to_c.views import View
from edgernn.export.to_c.windows import Convolve, Pool


def functions_in(node: Node) -> set[str]:
    """Return the helpers that the text of ``node`` calls."""
    if isinstance(node, kinds.Joined):
        return set().union(*map(functions_in, node.parts))
    if isinstance(node, integer_nodes.Gated):
        return functions_in(node.loop)
    if isinstance(node, kinds.Pointwise):
        return _named(node.expression)
    if isinstance(node, kinds.Softmax) and node.logarithm:
        return {"exp", "sum", "log"}
    return _CALLED.get(type(node), set())


_CALLED: dict[type[Node], set[str]] = {
    kinds.Gather: {"row"},
    kinds.Row: {"row"},
    integer_nodes.GatherRows: {"row"},
    integer_nodes.IntegerRow: {"row"},
    kinds.Reduce: {"sum"},
    kinds.Softmax: {"exp", "sum"},
    kinds.Normalise: {"sqrt", "sum", "squares"},
}


def _named(expression: Expression) -> set[str]:
    if not isinstance(expression, Apply):
        return set()
    row = FUNCTIONS[expression.name]
    own = "" if row.whole and expression.dtype != "float32" else row.helper
    return set().union({own} if own else set(), *map(_named, expression.arguments))


def statements(node: Node, names: Names) -> Lines:
    """Return the text of one node."""
    return _WRITERS[type(node)](node, names)


def _move(node: kinds.Move, names: Names) -> Lines:
    if not node.out.size:
        return []
    both = (node.out, node.source)
    return over(
        both,
        lambda indices, strides: [
            f"{names.element(node.out, indices, strides[0])} = "
            f"{names.element(node.source, indices, strides[1])};"
        ],
    )


def _matmul(node: kinds.Matmul, names: Names) -> Lines:
    groups, rows, depth = node.left.shape
    columns = node.right.shape[2]
    out, left, right = node.out, node.left, node.right

    def row(indices: list[str]) -> Lines:
        def of(view: View, own: list[str]) -> str:
            return names.element(view, own, view.strides)

        g, m = indices
        start = [f"{of(out, [g, m, 'n'])} = 0.0f;"]
        add = [f"{of(out, [g, m, 'n'])} += value * {of(right, [g, 'k', 'n'])};"]
        each = [
            f"const float value = {of(left, [g, m, 'k'])};",
            *loop("n", columns, add),
        ]
        return [*loop("n", columns, start), *loop("k", depth, each)]

    return nest([groups, rows], row)


def _gather(node: kinds.Gather, names: Names) -> Lines:
    """A number outside the table is that of its nearest row: nothing else is ever read."""
    before, count, after = node.out.shape
    table, rows = node.table, node.table.shape[1]

    def row(indices: list[str]) -> Lines:
        b, at = indices
        chosen = names.element(node.ids, [at], node.ids.strides)
        source = names.element(table, [b, "row", "j"], table.strides)
        copied = [f"{names.element(node.out, [b, at, 'j'], node.out.strides)} = {source};"]
        return [f"const int64_t row = net_row({chosen}, {rows});", *loop("j", after, copied)]

    return nest([before, count], row)


def _row(node: kinds.Row, names: Names) -> Lines:
    """Return where the row begins."""
    table = node.table
    chosen = f"net_row({names.element(node.ids, [], [])}, {table.shape[1]})"
    kind = C_TYPES[table.dtype]
    return [
        f"const {kind} *const {names.base(node.out.storage)} = "
        f"{names.address(table)} + {chosen} * {table.strides[1]};"
    ]


_WRITERS: dict[type[Node], Callable[[Any, Names], Lines]] = {
    kinds.Pointwise: loop_text.pointwise,
    kinds.Joined: loop_text.joined,
    kinds.Move: _move,
    kinds.Product: float_text.product,
    integer_nodes.Quantise: integer_text.quantise,
    integer_nodes.IntegerProduct: integer_text.product,
    integer_nodes.GatherRows: integer_text.gather_rows,
    integer_nodes.IntegerRow: integer_text.row,
    integer_nodes.Gated: gate_text.gated,
    kinds.Matmul: _matmul,
    kinds.Reduce: sums.reduce,
    kinds.Softmax: sums.softmax,
    kinds.Normalise: sums.normalise,
    kinds.Gather: _gather,
    kinds.Row: _row,
    selections.Top: selections.top,
    selections.Cumulate: selections.cumulate,
    Convolve: sums.convolve,
    Pool: sums.pool,
}
