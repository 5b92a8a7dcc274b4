"""Values that hang on how many frames have come: positions, and tables of them.

Each row counts for itself, so what hangs on its count has rows where the network had none: they
are put where the operator that takes it has them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx

from edgernn.contract import BATCH, TIME
from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import known, operands, operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.sizes import Length
from edgernn.hoisting.stream import Constant, Stream, close
from edgernn.hoisting.writer import ClosedTimeError

_aten = torch.ops.aten
_ARANGE = {_aten.arange.default, _aten.arange.start, _aten.arange.start_step}
_Run = Callable[..., Any]


def counted(builder: Builder, node: fx.Node, value: Constant, dim: int, user: fx.Node) -> Stream:
    """Return a table as long as the sequence as a stream: each of its elements a function of its
    position, which is seen by computing some of them alone.

    Raises:
        ContractError: they are not, or cannot be put beside the rows of ``user``.
    """
    size = builder.sizes.shapes[node][dim]
    assert isinstance(size, Length)
    _check(builder, node, value, dim, size.per)
    if builder.frames is None:
        raise ClosedTimeError
    others = [v for n in user.all_input_nodes if isinstance(v := builder.values[n], Stream)]
    lag = max((v.lag for v in others if v.lag > -(10**8)), default=0)
    count = max(1, int(builder.frames * size.per))
    where = position(builder, size.per, lag)  # [B]
    where = builder.call(_aten.unsqueeze.default, where, 1)
    where = builder.call(_aten.add.Tensor, where, builder.call(_aten.arange.default, count))
    flat = builder.call(_aten.clamp.default, builder.call(_aten.reshape.default, where, [-1]), 0)
    rows = builder.size(BATCH) if BATCH in builder.measured else 1
    length = rows * count if isinstance(rows, int) else builder.call(operator.mul, rows, count)
    made = Walk(builder, builder.call, flat, length, size.per, builder.constant).of(node)
    shape = [1 if builder.batch_axis(node) == at else n for at, n in enumerate(value.seen.shape)]
    shape[dim] = count
    made = builder.call(
        _aten.reshape.default, made, [*shape[:dim], -1, *shape[dim:]]
    )  # rows apart from time
    made = _moved(builder, made, len(shape) + 1, dim, 0)
    made, grown = by_row(builder, made, shape, builder.batch_axis(node), user)
    seen = value.seen.reshape([1] * grown + list(value.seen.shape))
    return Stream(made, seen, dim + grown, size.per, lag)


def position(builder: Builder, rate: Any, lag: int) -> fx.Node:
    """Return the index of the first element of a call for each row; int64 ``[B]``."""
    seen = builder.call(_aten.mul.Tensor, builder.counter(), rate.numerator)
    if rate.denominator > 1:
        seen = builder.call(_aten.floor_divide.default, seen, rate.denominator)
    return builder.call(_aten.sub.Tensor, seen, lag) if lag else seen


def _check(builder: Builder, node: fx.Node, value: Constant, dim: int, per: Any) -> None:
    length = value.seen.shape[dim]
    chosen = torch.tensor([2, 0, length - 1, length // 2, 2])

    def run(target: Any, *args: Any, like: Any = None, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    try:
        with torch.no_grad():
            walk = Walk(builder, run, chosen, len(chosen), per, lambda n: builder.values[n].seen)
            made = walk.of(node)
        wanted = value.seen.index_select(dim, chosen)
        if close(made.expand_as(wanted), wanted):
            return
    except (RuntimeError, IndexError, ValueError, TypeError):
        pass
    raise ContractError(
        f"{line_of(node)} makes a table as long as the sequence, of which an element hangs on more "
        "than its own position; a step has no such length. Give it as an input"
    )


class Walk:
    """Makes a table's elements at some positions, by running its operators or writing them."""

    def __init__(
        self,
        builder: Builder,
        run: _Run,
        index: Any,
        length: Any,
        per: Any,
        constant: Callable[..., Any],
    ) -> None:
        self.builder, self.run, self.index = builder, run, index
        self.length, self.constant, self.per = length, constant, per
        self.made: dict[fx.Node, Any] = {}

    def of(self, node: fx.Node) -> Any:
        """Return what a node of the capture is at the positions."""
        if node not in self.made:
            self.made[node] = self._of(node)
        return self.made[node]

    def _of(self, node: fx.Node) -> Any:
        sizes, target = self.builder.sizes, operator_of(node)
        if sizes.axis_of(node, TIME) is None:
            return self.constant(node)
        if target in _ARANGE:
            start, _, step = (*operands(node), 1)[:3] if len(operands(node)) > 1 else (0, 0, 1)
            made = self.run(_aten.add.Tensor, self.run(_aten.mul.Tensor, self.index, step), start)
            return self.run(_aten.to.dtype, made, known(node).dtype)
        args = sizes.args[node]
        if target is _aten.slice.Tensor and sizes.axis_of(args[0], TIME) is None:
            return self._table(args[0], args[1], args[2] or 0)
        if target is _aten.embedding.default:
            return self.run(target, self.of(args[0]), self._below(args[0], self.of(args[1])))
        given = [self._number(fx.map_arg(argument, self.of)) for argument in args]
        kwargs = {k: self._number(fx.map_arg(v, self.of)) for k, v in sizes.kwargs[node].items()}
        return self.run(target, *given, like=node, **kwargs)

    def _table(self, table: fx.Node, dim: int, start: int) -> Any:
        at = self.run(_aten.add.Tensor, self.index, start)
        at = self._below(table, at, dim, start)
        return self.run(_aten.index_select.default, self.constant(table), dim, at)

    def _below(self, table: fx.Node, at: Any, dim: int = 0, start: int = 0) -> Any:
        """Stay within a table: its last row stands for all frames that come after it."""
        most = self.builder.values[table].seen.shape[dim]
        ends(self.builder, int((most - start) / self.per))
        return self.run(_aten.clamp.default, at, 0, most - 1)

    def _number(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return [self._number(part) for part in value]
        if not isinstance(value, Length):
            return value
        if TIME not in value.axes:
            return value.base + int(value.per)  # one row
        if value.per != self.per or value.base:
            raise ValueError(value)
        return self.length


def ends(builder: Builder, frames: int) -> None:
    """Note that a table ends after some frames."""
    builder.longest = frames if builder.longest is None else min(builder.longest, frames)


def broadcasts(target: Any) -> bool:
    """Whether an operator works on each value by itself, in any of its forms."""
    packet = target.overloadpacket
    return any(torch.Tag.pointwise in getattr(packet, name).tags for name in packet.overloads())


def by_row(
    builder: Builder, made: fx.Node, shape: Sequence[int], own: int | None, user: fx.Node
) -> tuple[fx.Node, int]:
    """Put the rows, which ``made`` has in front of ``shape``, where ``user`` has them.

    Args:
        builder: of the step graph.
        made: ``[B, *shape]``.
        shape: 1 along ``own``.
        own: the axis of rows, where the network has one.
        user: the operator of the capture that takes it.

    Returns:
        The node, and by how many axes it is more than ``shape``.
    """
    place = own
    if own is None:
        rows = builder.batch_axis(user)
        if rows is None or not broadcasts(operator_of(user)):
            raise ContractError(
                f"{line_of(user)} takes what hangs on the position, which each row counts for "
                "itself; give it an axis of rows there (expand it to the batch)"
            )
        place = rows - (len(builder.sizes.shapes[user]) - len(shape))
    assert place is not None
    if place < 0:
        for _ in range(-place - 1):
            made = builder.call(_aten.unsqueeze.default, made, 1)
        return made, -place
    if shape[place] != 1:
        raise ContractError(f"{line_of(user)} has another table for each row; give it as an input")
    made = builder.call(_aten.squeeze.dim, made, place + 1)
    return _moved(builder, made, len(shape), 0, place), 0


def _moved(builder: Builder, node: fx.Node, rank: int, start: int, to: int) -> fx.Node:
    order = [at for at in range(rank) if at != start]
    order.insert(to, start)
    return node if start == to else builder.call(_aten.permute.default, node, order)
