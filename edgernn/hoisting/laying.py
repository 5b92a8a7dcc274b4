"""Lays one turn of an unrolled loop over another one: what is alike, and which numbers count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.places import line_of


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


class Laid:
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
