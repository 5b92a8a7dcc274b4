"""The two passes that make one loop of several: expressions put into one another, and loops over
as many elements put side by side.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

from edgernn.export.to_c.program import Expression, Joined, Load, Node, Pointwise, Program
from edgernn.export.to_c.renaming import replaced
from edgernn.export.to_c.views import SCRATCH, Storage, View, collapsed

_MOST_READS = 24  # of one loop: beyond that a compiler runs out of registers


def inlined(program: Program) -> Program:
    """Put an expression where its elements are read, once each.

    So ``tanh`` of a part of the gates, or a product of two of them, is computed where the state is,
    and never stored.
    """
    nodes = list(program.nodes)
    while (found := _inlinable(nodes)) is not None:
        for at, node in enumerate(nodes):
            if any(view.storage is found.out.storage for view in node.reads()):
                assert isinstance(node, Pointwise)
                nodes[at] = replace(node, expression=_with(node, found))
        nodes.remove(found)
    return program.with_nodes(nodes)


def _inlinable(nodes: list[Node]) -> Pointwise | None:
    """Return an elementwise node each of whose elements is read once, and only by such nodes."""
    read: dict[Storage, list[tuple[Node, View]]] = defaultdict(list)
    for node in nodes:
        for view in node.reads():
            read[view.storage].append((node, view))
    for node in nodes:
        if not isinstance(node, Pointwise) or node.out.storage.kind != SCRATCH:
            continue
        uses = read[node.out.storage]
        if not uses or not all(isinstance(user, Pointwise) for user, _ in uses):
            continue
        if _disjoint([view for _, view in uses]) and _flat(node) is not None:
            return node
    return None


def _disjoint(views: list[View]) -> bool:
    """Return whether views are rows of elements that do not meet."""
    if not all(view.contiguous for view in views):
        return False
    spans = sorted((view.offset, view.offset + view.size) for view in views)
    return all(end <= start for (_, end), (start, _) in pairwise(spans))


def _flat(node: Pointwise) -> list[tuple[int, int]] | None:
    """Return for every view that ``node`` reads where it begins and how far it goes on a step, as
    its elements are walked in order; None where they are not walked evenly.
    """
    views = node.reads()
    shape, strides = collapsed(node.out.shape, [node.out.strides, *(v.strides for v in views)])
    if len(shape) > 1:
        return None
    return [(v.offset, own[0] if own else 0) for v, own in zip(views, strides[1:], strict=True)]


def _with(reader: Pointwise, made: Pointwise) -> Expression:
    """Return the expression of ``reader`` with that of ``made`` in it."""

    def change(view: View) -> Expression:
        if view.storage is not made.out.storage:
            return Load(view)

        def moved(own: View) -> Load:
            _, (_, strides) = collapsed(made.out.shape, [made.out.strides, own.strides])
            step = strides[0] if strides else 0
            return Load(
                View(
                    own.storage,
                    own.offset + step * view.offset,
                    view.shape,
                    tuple(step * stride for stride in view.strides),
                )
            )

        return replaced(made.expression, moved)

    return replaced(reader.expression, change)


def joined(program: Program) -> Program:
    """Put elementwise loops over as many elements that follow one another into one."""
    nodes: list[Node] = []
    for node in program.nodes:
        before = nodes[-1] if nodes else None
        own = (node,) if isinstance(node, Pointwise) else None
        parts = before.parts if isinstance(before, Joined) else (before,)
        if own and before is not None and all(isinstance(p, Pointwise) for p in parts):
            together = (*parts, *own)
            if _may_join(together):
                nodes[-1] = Joined(node.out, together)
                continue
        nodes.append(node)
    return program.with_nodes([_with_stored(node, nodes) for node in nodes])


def _with_stored(node: Node, nodes: list[Node]) -> Node:
    """Return a loop with those of its parts that another node reads, or that are no scratch."""
    if not isinstance(node, Joined):
        return node
    read = {view.storage for other in nodes if other is not node for view in other.reads()}
    stored = [p for p in node.parts if p.out.storage.kind != SCRATCH or p.out.storage in read]
    return replace(node, stored=tuple(stored))


def _may_join(parts: tuple[Pointwise, ...]) -> bool:
    """Return whether the last of ``parts`` may run in one loop with the others: all are flat, as
    long, and it reads what they write at the same place alone.
    """
    *earlier, last = parts
    if any(_flat(part) is None or part.out.size != last.out.size for part in parts):
        return False
    if sum(len(part.reads()) for part in parts) > _MOST_READS:
        return False
    written = {part.out.storage: part.out for part in earlier}
    for view in last.reads():
        own = written.get(view.storage)
        if own is not None and not (
            view.offset == own.offset and view.contiguous and view.size == own.size
        ):
            return False
    return True
