"""Places the nodes of unrolled loops, and writes one turn of each loop into the step graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder, ClosedTimeError, StateSlot
from edgernn.hoisting.counting import position
from edgernn.hoisting.loops import Loop, Turns, cut_out, regions, same_form, smallest_cut
from edgernn.hoisting.nodes import arguments, operands, operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Constant, Moment, Pieces, Stream, Turn, Value
from edgernn.hoisting.turn_counts import hangs, in_rows, lifted

_aten = torch.ops.aten
_SPLITS = {_aten.unbind.int, _aten.split.Tensor, _aten.chunk.default}


@dataclass
class Unroller:
    """Follows loops. The first walk only looks: it finds the turns; with a plan, the second writes.

    Attributes:
        level: node → the latest frame that it hangs on.
        entries: node that takes one frame → (the stream's node in the capture, which frame).
        collected: node that lays the frames of a loop side by side → the nodes of the frames.
        plan: the loops, once the turns are known.
    """

    level: dict[fx.Node, int] = field(default_factory=dict)
    entries: dict[fx.Node, tuple[fx.Node, int]] = field(default_factory=dict)
    collected: dict[fx.Node, tuple[fx.Node, ...]] = field(default_factory=dict)
    count: int = 0
    plan: dict[fx.Node, _Written] = field(default_factory=dict)

    @property
    def turns(self) -> Turns:
        """What was found."""
        return Turns(self.level, self.entries, self.count)

    def make_plan(
        self,
        capture_nodes: Sequence[fx.Node],
        numel: dict[fx.Node, int],
        constant: Callable[[fx.Node], Tensor | None],
    ) -> None:
        """Cut the loops out that a first walk found; see ``cut_out``."""
        for region in regions(self.turns, capture_nodes, self.collected.values()):
            inside = set(region)
            given = [
                {self.level[item]: item for item in items}
                for items in self.collected.values()
                if self._made(items) in inside
            ]
            loop = cut_out(self.turns, region, numel, constant, given)
            self.plan |= dict.fromkeys(region, _Written(self.turns, region, loop, numel))

    def place(self, builder: Builder, node: fx.Node) -> Value | tuple[Value, ...] | None:
        """Return what a node becomes, or None where no loop has to do with it."""
        values = [builder.values[n] for n in node.all_input_nodes]
        if isinstance(values[0], Stream) and operator_of(node) in (
            _aten.select.int,
            _aten.slice.Tensor,
        ):
            return self._entry(builder, node, values[0])
        if isinstance(values[0], Stream) and operator_of(node) in _SPLITS:
            return self._entries(builder, node, values[0])
        if not any(isinstance(value, (Turn, Pieces)) for value in values):
            return None
        if operator_of(node) in (
            _aten.stack.default,
            _aten.cat.default,
            _aten.slice.Tensor,
            _aten.select.int,
        ):
            made = self._side_by_side(builder, node)
            if made is not None:
                return made
        if any(not isinstance(value, (Turn, Constant)) for value in values):
            raise ContractError(
                f"{line_of(node)} brings a turn of a loop together with the whole sequence: a step "
                "has only its own frame and what came before, in a state of fixed size"
            )
        return self._turn(builder, node, max(v.level for v in values if isinstance(v, Turn)))

    def _turn(self, builder: Builder, node: fx.Node, level: int) -> Turn:
        self.level[node] = level
        return Turn(node, builder.result(node), level)

    def _entry(self, builder: Builder, node: fx.Node, stream: Stream) -> Turn | None:
        dim = operands(node)[1] if len(operands(node)) > 1 else 0
        if dim % stream.seen.dim() != stream.dim:
            return None
        if operator_of(node) is _aten.select.int:
            index = operands(node)[2] % stream.length
        else:
            told = arguments(node)
            frames = range(stream.length)[slice(told["start"], told["end"], told["step"])]
            if len(frames) != 1 or stream.length == 1:
                return None
            index = frames[0]
        return self._enter(builder, node, operands(node)[0], index, stream)

    def _enter(
        self, builder: Builder, node: fx.Node, source: fx.Node, index: int, stream: Stream
    ) -> Turn:
        if stream.lag < 0:
            raise ContractError(f"{line_of(node)} loops over padding in front of the first frame")
        self.count = max(self.count, stream.length)
        self.entries[node] = (source, index)
        return self._turn(builder, node, index)

    def _entries(self, builder: Builder, node: fx.Node, stream: Stream) -> tuple[Value, ...] | None:
        dim = (
            operands(node)[-1] if operator_of(node) is _aten.unbind.int else (*operands(node), 0)[2]
        )
        dim = dim if operator_of(node) is not _aten.unbind.int or len(operands(node)) > 1 else 0
        if dim % stream.seen.dim() != stream.dim:
            return None
        getitems = {
            operands(user)[1]: user for user in node.users if operator_of(user) is operator.getitem
        }
        with torch.no_grad():
            parts = operator_of(node)(stream.seen, *operands(node)[1:], **node.kwargs)
        if len(parts) != stream.length:
            raise ContractError(f"{line_of(node)} takes several frames at a time; take one")
        made = []
        for index, seen in enumerate(parts):
            taken = getitems.get(index)
            if taken is not None:
                self.count = max(self.count, stream.length)
                self.entries[taken] = (operands(node)[0], index)
                self.level[taken] = index
            made.append(Turn(taken or node, seen, index))
        return tuple(made)

    # Frames laid side by side again

    def _side_by_side(self, builder: Builder, node: fx.Node) -> Value | None:
        given = self._pieces(builder, node)
        if given is None:
            return None
        dim, items, seen = given
        levels = [self.level.get(item, -1) if item is not None else -1 for item in items]
        if len(items) < self.count or -1 in levels:
            return Pieces(seen, dim, items)
        lag = levels[0]
        late = [level - at for at, level in enumerate(levels)]
        if max(late) == 0 != min(late):
            return None  # what a turn remembers of those before it, not the frames of a stream
        if set(late) != {lag}:
            raise ContractError(
                f"{line_of(node)} lays frames side by side that hang on later ones: it needs the "
                "future"
            )
        if handed := self._handed_on(builder, items, dim, seen):
            return handed
        self.collected[node] = tuple(i for i in items if i is not None)
        stream = self._streams(builder)[0]
        made = node
        if self.plan:
            made = self.plan[self._made(self.collected[node])].collect(builder, node, self)
        return Stream(made, seen, dim, stream.rate, stream.lag + lag)

    def _handed_on(
        self, builder: Builder, items: Sequence[fx.Node | None], dim: int, seen: Tensor
    ) -> Stream | None:
        """Return the stream that frames were taken of, where they are laid side by side as they
        are.
        """
        sources = {self.entries[item][0] for item in items if item in self.entries}
        if len(sources) != 1 or any(item not in self.entries for item in items):
            return None
        stream = builder.stream(sources.pop())
        order = [at for at in range(seen.dim()) if at != stream.dim]
        order.insert(dim, stream.dim)
        node = builder.call(_aten.permute.default, stream.node, order)
        return Stream(node, seen, dim, stream.rate, stream.lag)

    def _made(self, items: Sequence[fx.Node]) -> fx.Node:
        """Return the first of the frames that a loop made, and did not only hand on."""
        return next((item for item in items if item not in self.entries), items[0])

    def _streams(self, builder: Builder) -> list[Stream]:
        return [builder.stream(source) for source, _ in self.entries.values()]

    def _pieces(
        self, builder: Builder, node: fx.Node
    ) -> tuple[int, tuple[fx.Node | None, ...], Tensor] | None:
        seen = builder.result(node)
        if operator_of(node) is _aten.slice.Tensor or operator_of(node) is _aten.select.int:
            return self._part_of_pieces(builder, node, seen)
        parts, dim = arguments(node)["tensors"], arguments(node)["dim"]
        values = [builder.values[part] for part in parts]
        if operator_of(node) is _aten.stack.default:
            whole = len(values) >= self.count and all(isinstance(v, Turn) for v in values)
            return (dim % seen.dim(), tuple(parts), seen) if whole else None
        laid = any(isinstance(v, (Pieces, Constant)) for v in values)
        if seen.shape[dim] != self.count or not (laid or len(values) >= self.count):
            return None
        items: list[fx.Node | None] = []
        for part, value in zip(parts, values, strict=True):
            if isinstance(value, Pieces):
                items += value.items
            elif isinstance(value, Turn):
                if value.seen.shape[dim] != 1:
                    return None
                items.append(part)
            else:
                items += [None] * value.seen.shape[dim]
        return dim % seen.dim(), tuple(items), seen

    def _part_of_pieces(
        self, builder: Builder, node: fx.Node, seen: Tensor
    ) -> tuple[int, tuple[fx.Node | None, ...], Tensor] | None:
        value = builder.values[operands(node)[0]]
        if not isinstance(value, Pieces) or operator_of(node) is _aten.select.int:
            return None
        told = arguments(node)
        items = value.items[slice(told["start"], told["end"], told["step"])]
        return value.dim, items, seen

    def moment(self, builder: Builder, node: fx.Node) -> Moment:
        """Return the newest value of a loop that the network gives as it is."""
        value = builder.values[node]
        assert isinstance(value, Turn)
        if value.level != self.count - 1:
            raise ContractError(f"{line_of(node)} is given out, and it is not the newest frame's")
        stream = self._streams(builder)[0]
        made = self.plan[node].newest(builder, node, self) if self.plan else node
        return Moment(made, value.seen, builder.late(stream))


@dataclass(eq=False)
class _Written:
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

    def collect(self, builder: Builder, node: fx.Node, unroller: Unroller) -> fx.Node:
        """Write what gives frame ``loop.at`` of a collected stream; return it with its time
        axis.
        """
        self._begin(builder, unroller)
        items = unroller.collected[node]
        levels = [self.turns.level[item] for item in items]
        made = self._write(builder, items[levels.index(self.loop.at)])
        if self.loop.own_start:
            item = items[levels.index(0)]
            made = self._at_first(builder, item, self._write(builder, item), made)
        if operator_of(node) is _aten.stack.default:
            dim = (*operands(node), 0)[1] if len(operands(node)) > 1 else node.kwargs.get("dim", 0)
            made = builder.call(_aten.unsqueeze.default, made, dim)
        return made

    def newest(self, builder: Builder, node: fx.Node, unroller: Unroller) -> fx.Node:
        """Write a value of the last turn."""
        self._begin(builder, unroller)
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

    def _begin(self, builder: Builder, unroller: Unroller) -> None:
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
        mask = builder.valid(stream, source)
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
