"""Writes one turn of a loop into the step graph, and what it carries as states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.counting import position
from edgernn.hoisting.laying import Turns, same_form
from edgernn.hoisting.loops import Loop, smallest_cut
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.past import valid
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Stream
from edgernn.hoisting.turn_counts import hangs, in_rows, lifted
from edgernn.hoisting.writer import ClosedTimeError, StateSlot

_aten = torch.ops.aten


@dataclass(eq=False)
class WrittenLoop:
    """A loop as it is written into the step graph: its slots, and what stands for its nodes."""

    turns: Turns
    region: list[fx.Node]
    loop: Loop
    numel: dict[fx.Node, int]
    slots: list[StateSlot] = field(default_factory=list)
    made: dict[fx.Node, fx.Node] = field(default_factory=dict)
    alike: dict[Any, fx.Node] = field(default_factory=dict)
    stream: Stream | None = None
    row_turn: fx.Node | None = None

    def collect(self, builder: Builder, node: fx.Node, items: Sequence[fx.Node]) -> fx.Node:
        """Write what gives frame ``loop.at`` of a collected stream; return it with its time
        axis.
        """
        self._begin(builder)
        levels = [self.turns.level[item] for item in items]
        made = self._write(builder, items[levels.index(self.loop.at)])
        if self.loop.own_start:
            item = items[levels.index(0)]
            made = self._at_first(builder, item, self._write(builder, item), made)
        if operator_of(node) is _aten.stack.default:
            dim = (*operands(node), 0)[1] if len(operands(node)) > 1 else node.kwargs.get("dim", 0)
            made = builder.call(_aten.unsqueeze.default, made, dim)
        return made

    def newest(self, builder: Builder, node: fx.Node) -> fx.Node:
        """Write a value of the last turn."""
        self._begin(builder)
        last_turn = self.turns.count - 1
        for after, slot in zip(self.loop.after, self.slots, strict=True):
            if self.turns.level[after] == self.loop.at and same_form(
                self.turns, after, node, last_turn - self.loop.at
            ):
                assert slot.next is not None
                return slot.next
        if self.loop.own_start or self.loop.counts:
            raise ContractError(
                f"{line_of(node)} gives out what a last turn makes of a count or of a first turn; "
                "give out every turn's, stacked"
            )
        last = smallest_cut(self.turns, self.region, self.numel, self.turns.count - 1)
        self.made |= {old: slot.node for old, slot in zip(last, self.slots, strict=True)}
        return self._write(builder, node)

    def _begin(self, builder: Builder) -> None:
        if self.slots:
            return
        taken = [self.turns.entries[n][0] for n in self.region if n in self.turns.entries]
        streams = [builder.stream(source) for source in taken]
        stream = streams[0]
        if any((s.lag, s.rate) != (stream.lag, stream.rate) for s in streams):
            raise ContractError(f"{line_of(self.region[0])}: its frames do not come alike late")
        if builder.frames is None or builder.frames * stream.rate > 1:
            raise ClosedTimeError
        self.stream = stream
        for old, first in zip(self.loop.before, self.loop.first, strict=True):
            name, where = builder.named(old, "state")
            seen = builder.values[first].seen
            seen = torch.zeros_like(seen) if self.loop.own_start else seen
            slot = builder.state(name, where, seen, builder.batch_axis(old))
            if first in builder.encoded and not self.loop.own_start:
                slot.encoded = first
            self.slots.append(slot)
            self.made[old] = slot.node
        source = next(self.turns.entries[n][0] for n in self.region if n in self.turns.entries)
        for slot, after, first in zip(self.slots, self.loop.after, self.loop.first, strict=True):
            made = self._write(builder, after)
            if self.loop.own_start:
                inside = self.turns.is_turn(first)
                begun = self._write(builder, first) if inside else builder.node_of(first)
                made = self._at_first(builder, after, begun, made)
            slot.next = self._kept(builder, stream, source, slot, made)

    def _at_first(self, builder: Builder, like: fx.Node, first: fx.Node, later: fx.Node) -> fx.Node:
        """Take what the first turn gives, of a loop that begins in another way."""
        rows = builder.batch_axis(like)
        if rows is None:
            raise ContractError(
                f"{line_of(like)} has no axis of rows, and the first turn of the loop is not like "
                "the rest: whether it is a row's first one, each row says for itself"
            )
        shape = [-1] + [1] * (len(builder.sizes.shapes[like]) - 1 - rows)
        mask = builder.call(_aten.le.Scalar, self._turn(builder), 0)
        return builder.call(
            _aten.where.self, builder.call(_aten.view.default, mask, shape), first, later
        )

    def _turn(self, builder: Builder) -> fx.Node:
        """Return the number of the turn, for each row; int64 ``[B]``."""
        if self.row_turn is None:
            assert self.stream is not None
            turn = position(builder, self.stream.rate, self.stream.lag)
            self.row_turn = builder.call(_aten.clamp.default, turn, 0)
        return self.row_turn

    def _kept(
        self, builder: Builder, stream: Stream, source: fx.Node, slot: StateSlot, after: fx.Node
    ) -> fx.Node:
        """Keep the first state until the first frame has come."""
        mask = valid(builder, stream, source)
        if mask is None:
            return after
        shape = [1] * slot.first.dim()
        if slot.batch is not None:
            shape[slot.batch] = -1
        return builder.call(
            _aten.where.self, builder.call(_aten.view.default, mask, shape), after, slot.node
        )

    def _write(self, builder: Builder, node: fx.Node) -> fx.Node:
        """Write a node of the turn and what it needs, in the order in which they ran."""
        needed, pending = set(), [node]
        while pending:
            one = pending.pop()
            if one in self.made or one in needed:
                continue
            needed.add(one)
            if self.turns.is_turn(one) and one not in self.turns.entries:
                pending += one.all_input_nodes
        for one in self.region:
            if one in needed:
                for operand in one.all_input_nodes:
                    if self.turns.is_turn(operand) or one in self.turns.entries:
                        continue
                    if hangs(operand, self.loop.counts):
                        turn = self._turn(builder)
                        self.made[operand] = lifted(builder, operand, one, self.loop.counts, turn)
                    else:
                        self.made[operand] = builder.node_of(operand)
                self.made[one] = self._written(builder, one)
        return self.made[node]

    def _written(self, builder: Builder, node: fx.Node) -> Any:
        if node not in self.turns.entries:
            args = fx.map_arg(builder.sizes.args[node], self.made.__getitem__)
            if node in self.loop.counts:
                return in_rows(
                    builder, node, list(args), self.loop.counts[node], self._turn(builder)
                )
            return self._once(
                builder, operator_of(node), tuple(builder.numbers_in(operator_of(node), args)), node
            )
        stream = builder.values[self.turns.entries[node][0]]
        assert isinstance(stream, Stream)
        if builder.values[node].seen.dim() == stream.seen.dim():
            return stream.node
        return self._once(builder, _aten.select.int, (stream.node, stream.dim, 0), node)

    def _once(self, builder: Builder, target: Any, args: tuple[Any, ...], like: fx.Node) -> fx.Node:
        key = (target, _frozen(args), _frozen(like.kwargs))
        if key not in self.alike:
            kwargs = {} if like in self.turns.entries else builder.sizes.kwargs[like]
            self.alike[key] = builder.call(
                target,
                *args,
                like=like,
                **{k: builder.numbers(target, v) for k, v in kwargs.items()},
            )
        return self.alike[key]


def _frozen(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(part) for part in value)
    if isinstance(value, dict):
        return tuple(sorted((name, _frozen(part)) for name, part in value.items()))
    return value
