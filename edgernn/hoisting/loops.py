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
from typing import Any, NoReturn

import networkx
import torch
from torch import Tensor, fx

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
    laid = _Laid(turns, before, constant, given)
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


def same_form(turns: Turns, one: fx.Node, other: fx.Node, by: int) -> bool:
    """Whether ``other`` is made ``by`` turns later as ``one`` is, by its operators alone."""
    pending, seen = [(one, other)], set()
    while pending:
        a, b = pending.pop()
        if (a, b) in seen or turns.level.get(a, -1) != turns.level[one]:
            continue
        seen.add((a, b))
        if operator_of(a) is not operator_of(b) or turns.level.get(b) != turns.level[one] + by:
            return False
        if a not in turns.entries:
            if len(a.all_input_nodes) != len(b.all_input_nodes):
                return False
            pending += zip(a.all_input_nodes, b.all_input_nodes, strict=True)
    return True


def _before_turn(
    laid: _Laid,
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


class _Laid:
    """Lays the turn that was cut out over another one."""

    def __init__(
        self,
        turns: Turns,
        before: Sequence[fx.Node],
        constant: Callable[[fx.Node], Tensor | None],
        given: Sequence[Mapping[int, fx.Node]] = (),
    ) -> None:
        self.turns, self.before, self.constant = turns, set(before), constant
        self.given = given
        self.differing: dict[tuple[fx.Node, int], dict[int, Any]] = {}  # turn → number
        self.turn = 0

    def counts(self, at: int, start: int) -> dict[fx.Node, dict[int, tuple[Any, Any]]]:
        """Return the numbers that grow by the same amount every turn, from turn ``start`` on.

        Raises:
            ContractError: one differs from turn to turn in another way.
        """
        found: dict[fx.Node, dict[int, tuple[Any, Any]]] = {}
        for (node, place), seen in self.differing.items():
            numbers = {turn: value for turn, value in seen.items() if turn >= start}
            per: Any = numbers[at + 1] - numbers[at] if at + 1 in numbers else 0
            first = numbers[at] - per * at
            even = all(_same(value, first + per * turn) for turn, value in numbers.items())
            if not even or len(numbers) != at + 2 - start:
                raise ContractError(
                    f"{line_of(node)}: the turns of a loop differ in a number that does not grow by"
                    f" the same amount every turn: {numbers[at]} in turn {at}. Compute it with "
                    "tensors from the loop's own variable, or carry it along as a tensor"
                )
            if isinstance(first, Tensor):  # the same in each of its places
                first, per = first.flatten()[0].item(), per.flatten()[0].item()
            found.setdefault(node, {})[place] = (first, per)
        return found

    def over(
        self, pattern: Sequence[fx.Node], others: Sequence[fx.Node], at: int, turn: int
    ) -> dict[fx.Node, fx.Node]:
        """Return, for each value that comes into turn ``at``, the one in its place in ``turn``."""
        bound: dict[fx.Node, fx.Node] = {}
        seen: set[tuple[fx.Node, fx.Node]] = set()
        self.at, self.turn = at, turn
        outputs = [(made[at], made[turn]) for made in self.given if at in made and turn in made]
        for one, other in (*zip(pattern, others, strict=True), *outputs):
            self._lay(one, other, turn - at, bound, seen)
        return {old: bound[old] for old in self.before if old in bound}

    def _lay(
        self, one: Any, other: Any, by: int, bound: dict[fx.Node, fx.Node], seen: set[Any]
    ) -> None:
        pending = [(one, other)]
        while pending:
            one, other = pending.pop()
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
            elif one is not other:
                pending += self._alike(one, other)

    def _alike(self, one: fx.Node, other: Any) -> list[tuple[Any, Any]]:
        """Return the operands to be laid over each other; numbers are noted."""
        if not isinstance(other, fx.Node) or one.op != other.op:
            self._differ(one, other)
        if one.op == "get_attr":
            at, here = self.constant(one), self.constant(other)
            if at is None or here is None or at.shape != here.shape:
                self._differ(one, other)
            self._note(one, -1, at, here)
            return []
        if operator_of(one) is not operator_of(other) or one.kwargs.keys() != other.kwargs.keys():
            self._differ(one, other)
        pairs: list[tuple[fx.Node, Any]] = []
        for place, (a, b) in enumerate(zip(operands(one), operands(other), strict=True)):
            if _is_number(a) and _is_number(b):
                if type(a) is not type(b) or a != b:
                    self._note(one, place, a, b)
            elif not _paired(a, b, pairs):
                self._differ(one, other)
        if not all(_paired(one.kwargs[name], other.kwargs[name], pairs) for name in one.kwargs):
            self._differ(one, other)
        return pairs

    def _note(self, node: fx.Node, place: int, at: Any, here: Any) -> None:
        self.differing.setdefault((node, place), {})[self.at] = at
        self.differing[node, place][self.turn] = here

    def _differ(self, one: fx.Node, other: Any) -> NoReturn:
        place = line_of(other) if isinstance(other, fx.Node) else repr(other)
        raise ContractError(
            f"the turns of a loop are not alike: {line_of(one)} in one, {place} in another. A "
            "step does the same at every frame; give what differs as an input"
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return bool(torch.allclose(one.double(), other.double(), rtol=1e-6))
    return bool(abs(one - other) <= 1e-9 * max(1.0, abs(one)))


def _paired(one: Any, other: Any, pairs: list[tuple[fx.Node, Any]]) -> bool:
    """Add the nodes of two arguments to ``pairs``; False where all else is not the same."""
    if isinstance(one, fx.Node):
        pairs.append((one, other))
        return isinstance(other, fx.Node)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(lambda a, b: _paired(a, b, pairs), one, other))
    return type(one) is type(other) and bool(one == other)


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
