"""The passes for matrices of integers: their vectors as integers, and loops behind their panels."""

from __future__ import annotations

from collections import Counter

from edgernn.export.to_c.integer_nodes import Gated, IntegerProduct, Quantise
from edgernn.export.to_c.matrices import PANEL, IntegerMatrix, padded
from edgernn.export.to_c.program import Joined, Node, Pointwise, Product, Program
from edgernn.export.to_c.views import SCRATCH, Storage, View, all_of
from edgernn.export.to_c.walking import walk


def quantised(program: Program) -> Program:
    """Let every product with a matrix of integers read a vector of integers, made once of each."""
    made: dict[object, Quantise] = {}
    nodes: list[Node] = []
    for node in program.nodes:
        if not (isinstance(node, Product) and isinstance(node.matrix, IntegerMatrix)):
            nodes.append(node)
            continue
        matrix = node.matrix.packed_for(program.activations)
        own = _quantise(node, matrix, program.activations)
        key = (own.segments, own.levels)
        if key not in made:
            made[key] = own
            nodes.append(own)
        first = made[key]
        nodes.append(
            IntegerProduct(
                node.out, first.out, first.unit, matrix, program.activations, bias=node.bias
            )
        )
    return program.with_nodes(nodes)


def _quantise(node: Product, matrix: IntegerMatrix, activations: int) -> Quantise:
    """Return what makes integers of the vectors of ``node``: as many levels as the bits have, and
    as sums of a block in 32 bits allow.
    """
    rows = node.out.shape[0]
    largest = min(matrix.block, matrix.depth) << matrix.bits
    levels = min((1 << (activations - 1)) - 1, ((1 << 31) - 1) // max(largest, 1))
    room, dtype = padded(matrix.depth), "int16" if activations > 8 else "int8"
    out = all_of(Storage(SCRATCH, dtype, rows * room), (rows, room))
    unit = all_of(Storage(SCRATCH, "float32", rows), (rows,))
    return Quantise(out, unit, node.segments, levels)


def gated(program: Program) -> Program:
    """Let an elementwise loop over the gates of units go on behind each 16 units' panels, where
    nothing else reads the products.
    """
    made = {n.out.storage: n for n in program.nodes if isinstance(n, IntegerProduct)}
    reads = Counter(view.storage for node in program.nodes for view in node.reads())
    nodes: list[Node] = []
    for node in program.nodes:
        loop = Joined(node.out, (node,), (node,)) if isinstance(node, Pointwise) else node
        if isinstance(loop, Joined):
            own = [made[s] for s in dict.fromkeys(v.storage for v in loop.reads()) if s in made]
            fit = tuple(product for product in own if _is_of_gates(product, loop, reads))
            if fit and len({product.out.shape[0] for product in fit}) == 1:
                nodes = [before for before in nodes if before not in fit]
                nodes.append(Gated(loop.out, fit, loop))
                continue
        nodes.append(node)
    return program.with_nodes(nodes)


def _is_of_gates(product: IntegerProduct, loop: Joined, reads: Counter[Storage]) -> bool:
    """Return whether ``loop`` alone reads a product, as rows of gates, each at its own unit."""
    views = [view for view in loop.reads() if view.storage is product.out.storage]
    rows, columns = product.out.shape
    units = loop.out.size // rows
    if product.out.storage.kind != SCRATCH or len(views) != reads[product.out.storage]:
        return False
    found = walk(loop.parts)
    axes = (units,) if rows == 1 else (rows, units)
    if units % PANEL or not units or columns % units or found is None or found.shape != axes:
        return False
    return all(_is_gate(view, units, columns, rows) for view in views)


def _is_gate(view: View, units: int, columns: int, rows: int) -> bool:
    """Return whether ``view`` is a gate of every unit of every row."""
    wanted = [(rows, columns), (units, 1)]
    own = [(n, step) for n, step in zip(view.shape, view.strides, strict=True) if n != 1]
    fit = own == [axis for axis in wanted if axis[0] != 1]
    return fit and view.offset % units == 0 and view.offset < columns
