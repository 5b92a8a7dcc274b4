"""What is done to a program before it is written, pass by pass, in the order of ``PASSES``.

A pass takes a program to one that computes the same numbers with less memory or fewer loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgernn.export.to_c.expressions import Apply, Expression, Load, Number
from edgernn.export.to_c.fusing import inlined, joined
from edgernn.export.to_c.matrices import FloatMatrix
from edgernn.export.to_c.placing import rows_in_place, states_at_once
from edgernn.export.to_c.program import Move, Node, Pointwise, Product, Program
from edgernn.export.to_c.quantising import gated, quantised
from edgernn.export.to_c.renaming import renamed
from edgernn.export.to_c.views import INPUT, OUTPUT, SCRATCH, STATE, Storage, View

_MOST_PARTS = 2  # of a vector that a matrix of floats is multiplied with


@dataclass(frozen=True)
class Pass:
    """One change of a program."""

    name: str
    run: Callable[[Program], Program]


def readers(program: Program) -> Counter[Storage]:
    """Return storage → how many views of it are read."""
    return Counter(view.storage for node in program.nodes for view in node.reads())


def unread_dropped(program: Program) -> Program:
    """Leave out what writes scratch memory that nothing reads."""
    nodes = list(program.nodes)
    while True:
        read = {view.storage for node in nodes for view in node.reads()}
        kept = [node for node in nodes if _is_of_use(node, read)]
        if len(kept) == len(nodes):
            return program.with_nodes(kept)
        nodes = kept


def _is_of_use(node: Node, read: set[Storage]) -> bool:
    """Return whether something that a node makes is read, or no scratch memory."""
    made = (node.out.storage, *(view.storage for view in node.writes()))
    return any(storage.kind != SCRATCH or storage in read for storage in made)


def bias_in_product(program: Program) -> Program:
    """Let a product begin with the bias that is added to it and to nothing else."""
    reads, made = readers(program), {n.out.storage: n for n in program.nodes}
    nodes: list[Node] = []
    gone: set[int] = set()
    for node in program.nodes:
        found = _biased(node, made, reads)
        if found is not None:
            gone.add(id(made[found[0].storage]))
            nodes.append(found[1])
        else:
            nodes.append(node)
    return program.with_nodes([node for node in nodes if id(node) not in gone])


def _biased(
    node: Node, made: dict[Storage, Node], reads: Counter[Storage]
) -> tuple[View, Product] | None:
    """Return a product's view and the product with a bias where ``node`` only adds that."""
    if not (isinstance(node, Pointwise) and isinstance(node.expression, Apply)):
        return None
    both = node.expression.arguments
    if node.expression.name != "add":
        return None
    for own, other in (both, both[::-1]):
        product = made.get(own.view.storage) if isinstance(own, Load) else None
        if not isinstance(own, Load) or not isinstance(product, Product):
            continue
        rows = _as_rows(other, product.matrix.rows)
        alone = own.view.whole and reads[own.view.storage] == 1
        if rows is not None and alone and product.bias is None:
            out = node.out.reshape(product.out.shape)
            assert out is not None
            return own.view, replace(product, out=out, bias=rows)
    return None


def _as_rows(added: Expression, columns: int) -> np.ndarray | None:
    """Return what a constant adds to each of ``columns``, None where it is none, or not the same in
    every row.
    """
    if isinstance(added, Number):
        return np.full(columns, added.value, np.float32)
    values = added.view.values() if isinstance(added, Load) else None
    if values is None:
        return None
    table = np.array(values).reshape(-1, columns)
    return table[0].copy() if (table == table[:1]).all() else None


def parts_in_product(program: Program) -> Program:
    """Let a product read the parts of its vectors where they lie, not put together."""
    reads = readers(program)
    moves: dict[Storage, list[Move]] = {}
    for node in program.nodes:
        if isinstance(node, Move):
            moves.setdefault(node.out.storage, []).append(node)
    nodes: list[Node] = []
    for node in program.nodes:
        if isinstance(node, Product) and len(node.segments) == 1:
            (own,) = node.segments
            parts = sorted(moves.get(own.storage, []), key=lambda move: move.out.offset)
            most = _MOST_PARTS if isinstance(node.matrix, FloatMatrix) else len(parts)
            if len(parts) <= most and _are_parts(own, parts) and reads[own.storage] == 1:
                rows = tuple(_rows(part.source, own.shape[0]) for part in parts)
                nodes.append(replace(node, segments=rows))
                continue
        nodes.append(node)
    return unread_dropped(program.with_nodes(nodes))


def _are_parts(own: View, parts: list[Move]) -> bool:
    """Return whether ``own`` is rows made of contiguous parts, one behind the other in each row."""
    rows, depth = own.shape
    if len(parts) < 2 or not own.whole:
        return False
    start = 0
    for part in parts:
        width = part.out.size // rows
        fits = part.out.offset == start and part.source.contiguous and width
        if not fits or _axes(part.out) != _axes(own.cut(1, start, width)):
            return False
        start += width
    return start == depth


def _axes(view: View) -> list[tuple[int, int]]:
    """Return the axes of more than one element, and how far they go on."""
    return [own for own in zip(view.shape, view.strides, strict=True) if own[0] != 1]


def _rows(view: View, rows: int) -> View:
    found = view.reshape([rows, view.size // rows])
    assert found is not None
    return found


def outputs_in_place(program: Program) -> Program:
    """Write an output where it goes, where it would be copied there whole."""
    nodes, swapped = list(program.nodes), {}
    writers = Counter(node.out.storage for node in nodes)
    for node in program.nodes:
        if not isinstance(node, Move) or node.out.storage.kind != OUTPUT:
            continue
        source, target = node.source, node.out.storage
        fits = source.storage.kind == SCRATCH and source.whole and writers[source.storage] == 1
        if fits and source.storage not in swapped:
            swapped[source.storage] = target
            nodes.remove(node)
    return program.with_nodes([renamed(node, swapped) for node in nodes])


def states_in_place(program: Program) -> Program:
    """Write the parts of a state where they go, last of all, instead of putting them together
    first; not where a part is of the state before, which is read as long as it is there.
    """
    nodes, reads = list(program.nodes), readers(program)
    for node in program.nodes:
        if not isinstance(node, Move) or node.out.storage.kind != STATE:
            continue
        own = node.source.storage
        parts = [n for n in nodes if n.out.storage is own]
        moved = [part for part in parts if isinstance(part, Move)]
        if (
            own.kind == SCRATCH
            and node.source.whole
            and reads[own] == 1
            and len(moved) == len(parts)
            and sum(part.out.size for part in moved) == own.size
            and all(part.source.storage.kind in (SCRATCH, INPUT) for part in moved)
        ):
            kept = [n for n in nodes if n is not node and n.out.storage is not own]
            nodes = [*kept, *(renamed(part, {own: node.out.storage}) for part in moved)]
    return program.with_nodes(nodes)


PASSES = (
    Pass("unread", unread_dropped),
    Pass("bias in product", bias_in_product),
    Pass("parts in product", parts_in_product),
    Pass("inlined", inlined),
    Pass("outputs in place", outputs_in_place),
    Pass("states in place", states_in_place),
    Pass("joined", joined),
    Pass("quantised", quantised),
    Pass("gates behind their panels", gated),
    Pass("rows in place", rows_in_place),
    Pass("states at once", states_at_once),
)


def optimised(program: Program) -> Program:
    """Return the program after all passes."""
    for change in PASSES:
        program = change.run(program)
    return program
