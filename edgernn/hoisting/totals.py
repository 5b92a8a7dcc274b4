"""What is known of all frames so far: sums, products, the largest, running or of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Moment, Stream, Value
from edgernn.hoisting.windows import END, along, arguments, masked, stream_of
from edgernn.hoisting.writer import ClosedTimeError, StateSlot

_aten = torch.ops.aten


def total_rules() -> dict[Any, Callable[..., Any]]:
    """Return operator → rule, for the table of rules."""
    return {
        _aten.cumsum.default: _running,
        _aten.cumprod.default: _running,
        _aten.logcumsumexp.default: _running,
        _aten.cummax.default: _first_of_two(_aten.cummax.default),
        _aten.cummin.default: _first_of_two(_aten.cummin.default),
        _aten.sum.dim_IntList: _total,
        _aten.mean.dim: _total,
        _aten.amax.default: _total,
        _aten.amin.default: _total,
        _aten.max.dim: _first_of_two(_aten.amax.default),
        _aten.min.dim: _first_of_two(_aten.amin.default),
    }


def _running(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or not along(stream, given["dim"]):
        return None
    return _running_of(builder, node, operator_of(node), stream)


def _running_of(builder: Builder, node: fx.Node, target: Any, stream: Stream) -> Stream:
    result, (start, join) = builder.result(node), _JOINS[target]
    result = result[0] if isinstance(result, tuple) else result
    if stream.repeats:
        raise ContractError(f"{line_of(node)} runs over a first frame that is repeated in front")
    first = torch.full_like(result.narrow(stream.dim, 0, 1), start)
    if stream.lag < 0:
        first = replace(stream, seen=result).part(-stream.lag - 1, 1)
    stream = replace(stream, node=masked(builder, stream, operands(node)[0], start))
    name, where = builder.named(node, "running")
    slot = builder.state(name, where, first, builder.batch_axis(operands(node)[0]))
    if target is _aten.cumsum.default and result.is_floating_point():
        part = builder.call(target, stream.node, stream.dim, like=node)
        return stream.with_node(_added(builder, slot, part, stream.dim), result)
    return stream.with_node(_in_turn(builder, slot, stream, join), result)


def _in_turn(
    builder: Builder, slot: StateSlot, stream: Stream, join: Callable[..., fx.Node]
) -> fx.Node:
    """Join what was so far with each element of a call: operators that formats have."""
    if builder.frames is None:
        raise ClosedTimeError
    made, before = [], slot.node
    for at in range(max(1, int(builder.frames * stream.rate))):
        one = builder.call(_aten.slice.Tensor, stream.node, stream.dim, at, at + 1)
        before = join(builder, before, one)
        made.append(before)
    slot.next = before
    return made[0] if len(made) == 1 else builder.call(_aten.cat.default, made, stream.dim)


def _plainly(target: Any) -> Callable[..., fx.Node]:
    def join(builder: Builder, one: fx.Node, other: fx.Node) -> fx.Node:
        return builder.call(target, one, other)

    return join


def _added_in_logarithms(builder: Builder, one: fx.Node, other: fx.Node) -> fx.Node:
    """Return log(exp(a) + exp(b)) = max(a, b) + log(1 + exp(-|a - b|)); a may be -inf."""
    call = builder.call
    apart = call(_aten.neg.default, call(_aten.abs.default, call(_aten.sub.Tensor, one, other)))
    grown = call(_aten.log1p.default, call(_aten.exp.default, apart))
    return call(_aten.add.Tensor, call(_aten.maximum.default, one, other), grown)


_JOINS: dict[Any, tuple[float, Callable[..., fx.Node]]] = {
    _aten.cumsum.default: (0.0, _plainly(_aten.add.Tensor)),
    _aten.cumprod.default: (1.0, _plainly(_aten.mul.Tensor)),
    _aten.logcumsumexp.default: (float("-inf"), _added_in_logarithms),
    _aten.cummax.default: (float("-inf"), _plainly(_aten.maximum.default)),
    _aten.cummin.default: (float("inf"), _plainly(_aten.minimum.default)),
}


def _added(builder: Builder, slot: StateSlot, part: fx.Node, dim: int) -> fx.Node:
    """Add running sums to the sum so far and keep the last one; what rounding drops of it is a
    state too, so that a million additions are as exact as one (Kahan 1965, Knuth's TwoSum).
    """
    rest = builder.state(f"{slot.name}_rest", slot.where, torch.zeros_like(slot.first), slot.batch)
    add, sub = _aten.add.Tensor, _aten.sub.Tensor
    part = builder.call(add, rest.node, part)
    total = builder.call(add, slot.node, part)
    last, whole = (builder.call(_aten.slice.Tensor, n, dim, -1, END) for n in (part, total))
    grown = builder.call(sub, whole, slot.node)
    missed = builder.call(sub, slot.node, builder.call(sub, whole, grown))
    rest.next = builder.call(add, missed, builder.call(sub, last, grown))
    slot.next = whole
    return total


def _total(builder: Builder, node: fx.Node) -> Value | None:
    """A sum, mean, largest or smallest over all frames so far."""
    stream, given = stream_of(builder, node), arguments(builder, node)
    dims = given["dim"] if isinstance(given["dim"], tuple) else (given["dim"],)
    if (
        stream is None
        or len(dims) != 1
        or not isinstance(dims[0], int)
        or not along(stream, dims[0])
    ):
        return None
    return _total_of(builder, node, operator_of(node), stream, given["keepdim"])


def _total_of(builder: Builder, node: fx.Node, target: Any, stream: Stream, keep: bool) -> Moment:
    if stream.lag:
        raise ContractError(f"{line_of(node)} runs over frames that come late or are padding")
    if builder.frames is None:
        raise ClosedTimeError
    name, (start, join) = target._schema.name.split("::")[1], _TOTALS[target]
    result, dim = builder.result(node), stream.dim
    result = result[0] if isinstance(result, tuple) else result
    part = builder.call(_SUMS.get(target, target), stream.node, [dim], True, like=node)
    batch = builder.batch_axis(operands(node)[0])
    slot_name, where = builder.named(node, name)
    first = torch.full_like(stream.seen.narrow(dim, 0, 1), start)
    slot = builder.state(slot_name, where, first, batch)
    if join is _aten.add.Tensor and first.is_floating_point():
        made = _added(builder, slot, part, dim)
    else:
        made = slot.next = builder.call(join, slot.node, part)
    if target is _aten.mean.dim:
        shape = [1] * stream.seen.dim()
        if batch is not None:
            shape[batch] = -1
        seen = builder.call(_aten.add.Tensor, builder.counter(), builder.frames)
        count = builder.call(
            _aten.view.default, builder.call(_aten.mul.Tensor, seen, float(stream.rate)), shape
        )
        made = builder.call(_aten.div.Tensor, made, count)
    if not keep:
        made = builder.call(_aten.select.int, made, dim, 0)
    return Moment(made, result)


_TOTALS: dict[Any, tuple[float, Any]] = {
    _aten.sum.dim_IntList: (0.0, _aten.add.Tensor),
    _aten.mean.dim: (0.0, _aten.add.Tensor),
    _aten.amax.default: (float("-inf"), _aten.maximum.default),
    _aten.amin.default: (float("inf"), _aten.minimum.default),
}
_SUMS: dict[Any, Any] = {_aten.mean.dim: _aten.sum.dim_IntList}


def _first_of_two(target: Any) -> Callable[..., Any]:
    """The largest or smallest, of all or so far, whose places nobody asks for."""

    def rule(builder: Builder, node: fx.Node) -> tuple[Value, ...] | None:
        stream, given = stream_of(builder, node), arguments(builder, node)
        if stream is None or not along(stream, given["dim"]):
            return None
        if any(operands(user)[1] == 1 and user.users for user in node.users):
            raise ContractError(
                f"{line_of(node)} asks where in the sequence something stands; a step has no such "
                "place. Take the values alone"
            )
        made: Value
        if target in _TOTALS:
            made = _total_of(builder, node, target, stream, given["keepdim"])
        else:
            made = _running_of(builder, node, target, stream)
        return made, made

    return rule
