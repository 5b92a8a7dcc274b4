"""The text of nodes over integers."""

from __future__ import annotations

from edgernn.export.to_c import integer_nodes as nodes
from edgernn.export.to_c.loops import Lines, Names, indented, loop, nest, number, row_of
from edgernn.export.to_c.program import Node

_MOST_HELD = 8  # scales of a row


def quantise(node: nodes.Quantise, names: Names) -> Lines:
    """Return the text that makes integers of vectors: the largest magnitude first, then all."""
    rows, room = node.out.shape

    def row(indices: list[str]) -> Lines:
        out, unit = row_of(names, node.out, indices), names.element(node.unit, indices or ["0"],
                                                                    node.unit.strides)  # fmt: skip
        peak, round_, start = ["uint32_t peak = 0;"], [], 0
        for own in node.segments:
            given = f"{row_of(names, own, indices)}, {own.shape[1]}"
            peak.append(f"peak = net_peak(peak, {given});")
            round_.append(f"net_round_{node.bits}({out} + {start}, {given}, inverse);")
            start += own.shape[1]
        levels = number(float(node.levels), "float32")
        lines = [*peak, f"const float inverse = net_inverse(peak, {levels});"]
        lines += [f"{unit} = net_unit(peak, {levels});", *round_]
        if start < room:
            lines += loop("i", room - start, [f"({out})[{start} + i] = 0;"])
        return lines

    return _scoped(nest([rows] if rows > 1 else [], row), rows > 1)


def product(node: nodes.IntegerProduct, names: Names) -> Lines:
    """Return a call for the vector, or for all of them."""
    rows, columns = node.out.shape
    matrix = node.matrix
    sizes = [str(matrix.depth), str(min(matrix.block, matrix.depth)), str(columns)]
    out, quantised, unit = map(names.address, (node.out, node.quantised, node.unit))
    weights = names.bytes(id(node))
    if rows == 1:
        given = [out, weights, quantised, f"({unit})[0]", *sizes]
    else:
        given = [out, weights, quantised, str(node.quantised.strides[0]), unit, *sizes, str(rows)]
    return [f"{product_name(node)}({', '.join(given)});"]


def product_name(node: nodes.IntegerProduct) -> str:
    """Return the function that multiplies: bits of the weights, and of the activations."""
    return f"{'product' if node.out.shape[0] == 1 else 'rows'}_{_kind(node)}"


def panels_name(node: nodes.IntegerProduct) -> str:
    """Return the function that multiplies some panels."""
    return f"panels_{_kind(node)}"


def _kind(node: nodes.IntegerProduct) -> str:
    bits = node.activations
    return f"{node.matrix.bits}_{8 if bits == 7 and node.matrix.bits == 4 else bits}"


def kernels_of(node: Node) -> set[str]:
    """Return the kernels that the text of ``node`` calls."""
    if isinstance(node, nodes.Quantise):
        return {f"quantise_{node.bits}"}
    if isinstance(node, nodes.Gated):
        return {panels_name(own) for own in node.products}
    return {product_name(node)} if isinstance(node, nodes.IntegerProduct) else set()


def row(node: nodes.IntegerRow, names: Names) -> Lines:
    """Return where the row begins, and its scales."""
    table, number = node.table, names.number(node.out.storage)
    rows, blocks = table.scales.shape
    chosen = f"net_row({names.element(node.ids, [], [])}, {rows})"
    scales = f"{names.floats((id(table), 'scales'))} + chosen{number} * {blocks}"
    held = f"const float *const scales{number} = {scales};"
    if blocks <= _MOST_HELD:  # in variables, which no state can be
        each = ", ".join(f"({scales})[{block}]" for block in range(blocks))
        held = f"const float scales{number}[] = {{{each}}};"
    return [
        f"const int64_t chosen{number} = {chosen};",
        f"const unsigned char *const row{number} = "
        f"{names.bytes(id(table))} + chosen{number} * {table.row_bytes};",
        held,
    ]


def gather_rows(node: nodes.GatherRows, names: Names) -> Lines:
    """A number outside the table is that of its nearest row: nothing else is ever read."""
    table, (count, columns) = node.table, node.out.shape
    rows, blocks = table.scales.shape

    def row(indices: list[str]) -> Lines:
        (at,) = indices
        chosen = names.element(node.ids, [at], node.ids.strides)
        lines = [
            f"const int64_t row = net_row({chosen}, {rows});",
            f"const unsigned char *const own = {names.bytes(id(table))} + row * {table.row_bytes};",
            f"const float *const scales = {names.floats((id(table), 'scales'))} + row * {blocks};",
        ]
        for block in range(blocks):
            start = block * table.block
            size = min(table.block, columns - start)
            place = f"{start} + j" if start else "j"
            value = f"(int8_t)own[{place}]"
            if table.bits == 4:
                value = f"(((own[({place}) >> 1] >> ((({place}) & 1) << 2)) & 15) - 8)"
            out = names.element(node.out, [at, place], node.out.strides)
            lines += loop("j", size, [f"{out} = scales[{block}] * (float){value};"])
        return lines

    return nest([count], row)


def _scoped(lines: Lines, loops: bool) -> Lines:
    return lines if loops else ["{", *indented(lines), "}"]
