"""Loops over time inside a network: what crosses from one turn to the next is its state.

Running the network unrolls its loops: turn t takes frame t of a stream and gives frame t of
another. A value's turn is the latest frame that it hangs on. Cutting between the values of the
turns before t and those from t on, so that as few numbers as possible cross, gives the state; that
the turns are alike, and what the state is before the first one, is found by laying one turn over
the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import networkx
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.laying import Laid, Turns
from edgernn.hoisting.places import line_of

_Source, _Sink = "source", "sink"


@dataclass(frozen=True)
class Loop:
    """One turn of a loop, cut out.

    Attributes:
        at: the turn that was cut out.
        before: the values that come from the turn before, in order: the state.
        after: what the next turn takes in their place.
        first: what stands in their place before the first turn; nodes outside of the loop. Where
            the first turn is not like the rest, what it gives to the second one in their place.
        own_start: whether the first turn is not like the rest.
        counts: node → place of an argument → (its number in turn 0, by how much it grows a turn);
            place -1 is a tensor that the node itself is.
    """

    at: int
    before: tuple[fx.Node, ...]
    after: tuple[fx.Node, ...]
    first: tuple[fx.Node, ...]
    own_start: bool
    counts: Mapping[fx.Node, Mapping[int, tuple[Any, Any]]]


def cut_out(
    turns: Turns,
    region: Sequence[fx.Node],
    numel: Mapping[fx.Node, int],
    constant: Callable[[fx.Node], Tensor | None],
    given: Sequence[Mapping[int, fx.Node]],
) -> Loop:
    """Find the state of a loop.

    Args:
        turns: all that is unrolled.
        region: the nodes of this loop, in order.
        numel: node → how many numbers it holds; nodes of several tensors are left out.
        constant: what a tensor made in Python is, None where a node is none.
        given: of each thing that the loop gives out at every turn, turn → node.

    Raises:
        ContractError: the turns are not alike, or the state grows.
    """
    at = turns.count // 2
    before, after, later = (smallest_cut(turns, region, numel, at + turn) for turn in range(3))
    if not len(before) == len(after) == len(later):
        raise ContractError(
            f"the loop at {line_of(region[-1])} carries {len(before)} values into one turn and "
            f"{len(later)} into a later one: its state grows, as attention over all of the past "
            "does, and a step has only a state of fixed size"
        )
    laid = Laid(turns, before, constant, given)
    at_next = dict(zip(before, after, strict=True))
    check = laid.over(after, later, at, at + 1)
    if any(check.get(old, at_next[old]) is not at_next[old] for old in before):
        raise ContractError(f"the turns of the loop at {line_of(region[-1])} are not alike")
    boundary = list(before)
    own_start = False
    for turn in range(at - 1, -1, -1):
        try:
            first = _before_turn(laid, before, after, boundary, at, turn)
        except ContractError:
            if turn or any(turns.level.get(node, 0) > 0 for node in boundary):
                raise
            own_start = True
            break
        boundary = first
    return Loop(at, before, after, tuple(boundary), own_start, laid.counts(at, int(own_start)))


def _before_turn(
    laid: Laid,
    before: Sequence[fx.Node],
    after: Sequence[fx.Node],
    boundary: Sequence[fx.Node],
    at: int,
    turn: int,
) -> list[fx.Node]:
    bound = laid.over(after, boundary, at, turn)
    missing = [old for old in before if old not in bound]
    if missing:
        raise ContractError(f"{line_of(missing[0])} has no first value that could be found")
    found = [bound[old] for old in before]
    inside = [node for node in found if laid.turns.is_turn(node)]
    if turn == 0 and inside:
        raise ContractError(
            f"{line_of(inside[0])}: the first turn of the loop is not like the rest"
        )
    return found


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


def regions(
    turns: Turns, nodes: Iterable[fx.Node], collected: Iterable[Sequence[fx.Node]]
) -> list[list[fx.Node]]:
    """Return the loops: the unrolled nodes that hang together, but for the frames they take, or
    whose results are laid side by side.
    """
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
    for items in collected:
        made = [item for item in items if item not in turns.entries]
        networkx.add_path(graph, made)
    found = []
    for members in networkx.connected_components(graph):
        taken = {o for node in members for o in node.all_input_nodes if o in turns.entries}
        found.append([node for node in inside if node in members or node in taken])
    return found
