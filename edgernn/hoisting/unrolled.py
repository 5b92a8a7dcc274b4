"""Places the nodes of unrolled loops: which frames a turn takes and gives."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.laying import Turns
from edgernn.hoisting.loops import cut_out, regions
from edgernn.hoisting.nodes import arguments, operands, operator_of
from edgernn.hoisting.past import newest
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Constant, Moment, Pieces, Stream, Turn, Value
from edgernn.hoisting.turn_writing import WrittenLoop

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
    plan: dict[fx.Node, WrittenLoop] = field(default_factory=dict)

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
            self.plan |= dict.fromkeys(region, WrittenLoop(self.turns, region, loop, numel))

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
            items = self.collected[node]
            made = self.plan[self._made(items)].collect(builder, node, items)
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
        made = self.plan[node].newest(builder, node) if self.plan else node
        return newest(builder, made, value.seen, stream)
