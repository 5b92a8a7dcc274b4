"""The two passes that make one loop of several: expressions put into one another, and loops over
as many elements put side by side.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np

from edgernn.export.to_c.expressions import Expression, Load
from edgernn.export.to_c.program import Joined, Node, Pointwise, Program
from edgernn.export.to_c.renaming import replaced
from edgernn.export.to_c.views import SCRATCH, Storage, View, collapsed
from edgernn.export.to_c.walking import bare, flat, walk

_MOST_READS = 24  # of one loop: beyond that a compiler runs out of registers
_ROWS = 2  # axes
_MOST_COUNTED = 1 << 16  # elements of a value whose reads are counted one by one


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
        views = [view for _, view in uses]
        if _disjoint(views) and (flat(node) is not None or _by_rows(node, views)):
            return node
    return None


def _disjoint(views: list[View]) -> bool:
    """Return whether no element is in two of the views, or twice in one."""
    if all(view.contiguous for view in views):
        spans = sorted((view.offset, view.offset + view.size) for view in views)
        return all(end <= start for (_, end), (start, _) in pairwise(spans))
    if views[0].storage.size > _MOST_COUNTED:
        return False
    count = np.zeros(views[0].storage.size, np.int64)
    for view in views:
        np.add.at(count, _places(view), 1)
    return bool((count <= 1).all())


def _places(view: View) -> np.ndarray:
    """Return where the elements of a view lie."""
    places = np.array(view.offset)
    for size, stride in zip(view.shape, view.strides, strict=True):
        places = places[..., None] + np.arange(size) * stride
    return places.ravel()


def _by_rows(node: Pointwise, views: list[View]) -> bool:
    """Return whether ``node`` goes over rows, and every view is a part of each row."""
    axes = bare(node.out.shape)
    return (
        len(axes) == _ROWS
        and node.out.whole
        and all(_part_of_rows(view, axes[1]) is not None for view in views)
    )


def _part_of_rows(view: View, columns: int) -> tuple[int, int, list[tuple[int, int]]] | None:
    """Return the row and the column at which a view of rows begins, and how many rows and columns
    each of its axes goes on; None where it goes on otherwise.
    """
    row, column = divmod(view.offset, columns)
    steps = [(t // columns, 0) if t % columns == 0 else (0, t) for t in view.strides]
    ends = [(n - 1) * step for n, (_, step) in zip(view.shape, steps, strict=True)]
    inside = all(step >= 0 for _, step in steps) and column + sum(ends) < columns
    return (row, column, steps) if inside and view.size else None


def _with(reader: Pointwise, made: Pointwise) -> Expression:
    """Return the expression of ``reader`` with that of ``made`` in it."""

    def change(view: View) -> Expression:
        if view.storage is not made.out.storage:
            return Load(view)

        def moved(own: View) -> Load:
            if flat(made) is None:
                return Load(_of_rows(own, made.out, view))
            _, (_, strides) = collapsed(made.out.shape, [made.out.strides, own.strides])
            step = strides[0] if strides else 0
            offset = own.offset + step * view.offset
            steps = tuple(step * stride for stride in view.strides)
            return Load(View(own.storage, offset, view.shape, steps))

        return replaced(made.expression, moved)

    return replaced(reader.expression, change)


def _of_rows(own: View, made: View, view: View) -> View:
    """Return the elements of ``own`` from which the elements ``view`` of ``made`` are computed."""
    over_rows, over_columns = (
        step for size, step in zip(own.shape, own.strides, strict=True) if size != 1
    )
    found = _part_of_rows(view, bare(made.shape)[1])
    assert found is not None
    row, column, steps = found
    strides = tuple(r * over_rows + c * over_columns for r, c in steps)
    return View(
        own.storage, own.offset + row * over_rows + column * over_columns, view.shape, strides
    )


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
    """Return whether the last of ``parts`` may run in one loop with the others: all are walked
    alike, and it reads what they write at the same place alone.
    """
    *earlier, last = parts
    if walk(parts) is None:
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
