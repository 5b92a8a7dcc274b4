"""The passes that let values lie where they are wanted: rows in tables, states in the state."""

from __future__ import annotations

from dataclasses import replace

from edgernn.export.to_c.integer_nodes import Gated, GatherRows, IntegerRow
from edgernn.export.to_c.matrices import PANEL, IntegerMatrix
from edgernn.export.to_c.program import Gather, Joined, Move, Node, Pointwise, Program, Row
from edgernn.export.to_c.views import CONSTANT, INPUT, SCRATCH, STATE, View

_LOOPS = (Pointwise, Joined, Gated)


def rows_in_place(program: Program) -> Program:
    """Read the one row of a table where it lies; one of integers where loops alone read it, each
    element once, for each time it is made a float.
    """
    nodes: list[Node] = []
    for node in program.nodes:
        readers = [n for n in program.nodes if node.out.storage in {v.storage for v in n.reads()}]
        if type(node) is Gather and _is_row(node):
            nodes.append(Row(node.out, node.table, node.ids))
        elif type(node) is GatherRows and node.ids.size == 1 and _once(node, readers):
            nodes.append(IntegerRow(node.out, node.table, node.ids))
        else:
            nodes.append(node)
    return program.with_nodes(nodes)


def _is_row(node: Gather) -> bool:
    lasting = node.table.storage.kind in (CONSTANT, INPUT) and node.out.storage.kind == SCRATCH
    one = node.table.shape[0] == node.ids.size == 1
    return lasting and one and node.table.strides[2] == 1


def _once(node: GatherRows, readers: list[Node]) -> bool:
    """Return whether elementwise loops alone read the row, as many elements as it has."""
    if node.out.storage.kind != SCRATCH or not all(isinstance(n, _LOOPS) for n in readers):
        return False
    reads = [(n, v) for n in readers for v in n.reads() if v.storage is node.out.storage]
    once = sum(view.size for _, view in reads) <= node.out.size
    return once and all(_has_scale(n, view, node.table) for n, view in reads)


def _has_scale(reader: Node, view: View, table: IntegerMatrix) -> bool:
    """Return whether one scale is that of the whole view, or at least of 16 units at a time."""
    first, behind = _span(view)
    if first // table.block == (behind - 1) // table.block:
        return True
    aligned = isinstance(reader, Gated) and table.block % PANEL == 0
    return aligned and view.contiguous and view.offset % PANEL == 0


def states_at_once(program: Program) -> Program:
    """Write a part of a state where it goes when it is made, where nothing needs what was there.

    Then no node behind the one that makes it reads those elements of the old state; that one may
    where it reads an element before it writes it, as a loop does, which stores all it makes last.
    """
    nodes, placed = list(program.nodes), dict(program.placed)
    for move in program.nodes:
        if isinstance(move, Move) and move.out.storage.kind == STATE:
            source = move.source.storage
            if source not in placed and _may_lie(move, nodes):
                placed[source] = move.out
                nodes.remove(move)
    return replace(program.with_nodes(nodes), placed=placed)


def _may_lie(move: Move, nodes: list[Node]) -> bool:
    own, target = move.source.storage, move.out
    whole = own.kind == SCRATCH and move.source.whole and target.contiguous
    makers = [at for at, n in enumerate(nodes) if own in {view.storage for view in n.writes()}]
    if not whole or len(makers) != 1:
        return False
    for node in nodes[makers[0] + 1 :]:
        if node is not move and any(_meet(v, target) for v in (*node.reads(), *node.writes())):
            return False
    maker = nodes[makers[0]]
    met = [view for view in maker.reads() if _meet(view, target)]
    return not met or (
        isinstance(maker, _LOOPS)
        and all(_same_place(view, target) for view in met)
        and all(part.out.contiguous for part in _parts(maker))
    )


def _meet(view: View, target: View) -> bool:
    """Return whether two views may share elements."""
    if view.storage is not target.storage or not view.size:
        return False
    (low, high), (first, last) = _span(view), _span(target)
    return low < last and first < high


def _span(view: View) -> tuple[int, int]:
    """Return the first element of a view, and the one behind the last."""
    steps = [(n - 1) * step for n, step in zip(view.shape, view.strides, strict=True)]
    low = view.offset + sum(step for step in steps if step < 0)
    return low, view.offset + sum(step for step in steps if step > 0) + 1


def _same_place(view: View, target: View) -> bool:
    return view.contiguous and (view.offset, view.size) == (target.offset, target.size)


def _parts(node: Node) -> tuple[Pointwise, ...]:
    if isinstance(node, Gated):
        return node.loop.parts
    return (
        node.parts if isinstance(node, Joined) else (node,) if isinstance(node, Pointwise) else ()
    )
