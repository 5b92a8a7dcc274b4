"""Loops over time inside a network: what crosses from one turn to the next is its state.

Running the network unrolls its loops: turn t takes frame t of a stream and gives frame t of
another. A value's turn is the latest frame that it hangs on. Cutting between the values of the
turns before t and those from t on, so that as few numbers as possible cross, gives the state; that
the turns are alike, and what the state is before the first one, is found by laying one turn over
the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.places import line_of

_Source, _Sink = "source", "sink"


@dataclass(frozen=True)
class Turns:
    """The unrolled part of a capture.

    Attributes:
        level: node → the latest frame that it hangs on.
        entries: node that takes one frame of a stream → (the stream's node, which frame).
        count: how many turns there are.
    """

    level: Mapping[fx.Node, int]
    entries: Mapping[fx.Node, tuple[fx.Node, int]]
    count: int

    def is_turn(self, node: fx.Node) -> bool:
        """Whether a node is part of the loop."""
        return node in self.level


@dataclass(frozen=True)
class Loop:
    """One turn of a loop, cut out.

    Attributes:
        at: the turn that was cut out.
        before: the values that come from the turn before, in order: the state.
        after: what the next turn takes in their place.
        first: what stands in their place before the first turn; nodes outside of the loop.
    """

    at: int
    before: tuple[fx.Node, ...]
    after: tuple[fx.Node, ...]
    first: tuple[fx.Node, ...]


def cut_out(turns: Turns, region: Sequence[fx.Node], numel: Mapping[fx.Node, int]) -> Loop:
    """Find the state of a loop.

    Args:
        turns: all that is unrolled.
        region: the nodes of this loop, in order.
        numel: node → how many numbers it holds; nodes of several tensors are left out.

    Raises:
        ContractError: the turns are not alike: state that grows, or a first turn of its own.
    """
    at = turns.count // 2
    before, after, later = (smallest_cut(turns, region, numel, at + turn) for turn in range(3))
    if not len(before) == len(after) == len(later):
        raise ContractError(
            f"the loop at {line_of(region[-1])} carries {len(before)} values into one turn and "
            f"{len(later)} into a later one: its state grows, as attention over all of the past "
            "does, and a step has only a state of fixed size"
        )
    laid = _Laid(turns, before)
    boundary = list(after)
    at_next = dict(zip(before, after, strict=True))
    check = laid.over(after, later, at, at + 1)
    if any(check.get(old, at_next[old]) is not at_next[old] for old in before):
        raise ContractError(f"the turns of the loop at {line_of(region[-1])} are not alike")
    boundary = list(before)
    for turn in range(at - 1, -1, -1):
        bound = laid.over(after, boundary, at, turn)
        missing = [old for old in before if old not in bound]
        if missing:
            raise ContractError(f"{line_of(missing[0])} has no first value that could be found")
        boundary = [bound[old] for old in before]
    if inside := [node for node in boundary if turns.is_turn(node)]:
        raise ContractError(
            f"{line_of(inside[0])}: the first turn of the loop is not like the rest"
        )
    return Loop(at, before, after, tuple(boundary))


class _Laid:
    """Lays the turn that was cut out over another one."""

    def __init__(self, turns: Turns, before: Sequence[fx.Node]) -> None:
        self.turns, self.before = turns, set(before)

    def over(
        self, pattern: Sequence[fx.Node], others: Sequence[fx.Node], at: int, turn: int
    ) -> dict[fx.Node, fx.Node]:
        """Return, for each value that comes into turn ``at``, the one in its place in ``turn``."""
        bound: dict[fx.Node, fx.Node] = {}
        seen: set[tuple[fx.Node, fx.Node]] = set()
        for one, other in zip(pattern, others, strict=True):
            self._lay(one, other, turn - at, bound, seen)
        return {old: bound[old] for old in self.before if old in bound}

    def _lay(
        self, one: Any, other: Any, by: int, bound: dict[fx.Node, fx.Node], seen: set[Any]
    ) -> None:
        pending = [(one, other)]
        while pending:
            one, other = pending.pop()
            if not isinstance(one, fx.Node):
                pending += self._parts(one, other)
                continue
            if (one, other) in seen:
                continue
            seen.add((one, other))
            if one in self.before:
                if bound.setdefault(one, other) is not other:
                    self._differ(one, other)
            elif one in self.turns.entries:
                stream, frame = self.turns.entries[one]
                if self.turns.entries.get(other) != (stream, frame + by):
                    self._differ(one, other)
            elif not self.turns.is_turn(one):
                if one is not other:
                    pending += self._alike(one, other)
            else:
                pending += self._alike(one, other)

    def _alike(self, one: fx.Node, other: Any) -> list[tuple[Any, Any]]:
        if not isinstance(other, fx.Node) or (one.op, operator_of(one)) != (
            other.op,
            operator_of(other),
        ):
            self._differ(one, other)
        return [(operands(one), operands(other)), (one.kwargs, other.kwargs)]

    def _parts(self, one: Any, other: Any) -> list[tuple[Any, Any]]:
        if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
            if len(one) == len(other):
                return list(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            return [(one[name], other[name]) for name in one]
        elif type(one) is type(other) and one == other:
            return []
        raise ContractError(
            f"the turns of a loop differ in a number: {one} in one, {other} in another. Count with "
            "a tensor that is carried along, not with Python's own loop variable"
        )

    def _differ(self, one: fx.Node, other: Any) -> None:
        place = line_of(other) if isinstance(other, fx.Node) else repr(other)
        raise ContractError(
            f"the turns of a loop are not alike: {line_of(one)} in one, {place} in another. A "
            "step does the same at every frame; give what differs as an input"
        )


def smallest_cut(
    turns: Turns, region: Sequence[fx.Node], numel: Mapping[fx.Node, int], at: int
) -> tuple[fx.Node, ...]:
    """Return the values that cross into turn ``at`` so that as few numbers as possible do.

    A value of an earlier turn is computed early and stored, or late, from what is stored. Stored
    ones pay their size once; where two cuts are as small, the later one is taken: what is nearest
    to its use. (Max-flow min-cut, Ford and Fulkerson 1956.)
    """
    early = [node for node in region if turns.level[node] < at]
    known = set(early)
    graph = networkx.DiGraph()
    graph.add_nodes_from((_Source, _Sink))
    for node in early:
        made, stored = ("made", node), ("stored", node)
        if node in numel:
            graph.add_edge(made, stored, capacity=numel[node])
        else:
            graph.add_edge(made, stored)
        graph.add_edge(stored, made)  # what is computed late is known late
        if node in turns.entries or turns.level[node] < at - 1:
            graph.add_edge(_Source, made)  # else few inputs, kept for ever, were the smallest cut
        for user in node.users:
            if user in known:
                graph.add_edge(stored, ("made", user))
                graph.add_edge(("made", user), made)
            elif turns.level.get(user, -1) >= at:
                graph.add_edge(stored, _Sink)
    _, (_, late) = networkx.minimum_cut(graph, _Source, _Sink)  # the smallest late side
    return tuple(n for n in early if ("stored", n) in late and ("made", n) not in late)


def regions(turns: Turns, nodes: Iterable[fx.Node]) -> list[list[fx.Node]]:
    """Return the loops: the unrolled nodes that hang together, but for the frames they take."""
    graph = networkx.Graph()
    inside = [node for node in nodes if turns.is_turn(node)]
    for node in inside:
        if node not in turns.entries:
            graph.add_node(node)
            graph.add_edges_from(
                (node, operand)
                for operand in node.all_input_nodes
                if turns.is_turn(operand) and operand not in turns.entries
            )
    found = []
    for members in networkx.connected_components(graph):
        taken = {o for node in members for o in node.all_input_nodes if o in turns.entries}
        found.append([node for node in inside if node in members or node in taken])
    return found
