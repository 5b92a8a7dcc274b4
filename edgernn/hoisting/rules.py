"""Operators that mix frames in a way that can be stepped: what each keeps of the past, a row each.

A rule gets the builder and the node, and returns what the node becomes, or None where it does not
mix frames there (a convolution over another axis): then it is taken over as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import lcm
from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder, ClosedTimeError, StateSlot
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.recurrent import recurrent_rules
from edgernn.hoisting.sizes import Length
from edgernn.hoisting.stream import Moment, Stream, Value

_aten = torch.ops.aten
_END = 2**63 - 1
Rule = Callable[[Builder, fx.Node], Value | tuple[Value, ...] | None]


def arguments(builder: Builder, node: fx.Node) -> dict[str, Any]:
    """Return a call's arguments by their names in the operator's schema, defaults filled in;
    numbers with what they hang on.
    """
    schema = operator_of(node)._schema.arguments
    given = dict(zip((a.name for a in schema), builder.sizes.args[node], strict=False))
    given |= builder.sizes.kwargs[node]
    named = {a.name: given.get(a.name, a.default_value) for a in schema}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in named.items()}


def stream_of(builder: Builder, node: fx.Node) -> Stream | None:
    """Return the stream that a call's first argument is, or None."""
    builder._constants_along_time(node)
    value = builder.values[operands(node)[0]]
    return value if isinstance(value, Stream) else None


def along(stream: Stream, dim: int) -> bool:
    """Whether ``dim`` is the axis that holds time."""
    return dim % stream.seen.dim() == stream.dim


# Windows: convolutions, pooling, unfold, and slices with a step


def windows(
    builder: Builder, stream: Stream, source: fx.Node, reach: int, stride: int
) -> tuple[fx.Node, Fraction, int]:
    """Return what windows of ``reach`` elements every ``stride`` are taken of in a call, and the
    rate and lag of the windows.
    """
    extra = max(0, stride - reach)
    extra += -(stream.lag + reach - stride + extra) % stride
    keep = reach - stride + extra
    joined = builder.with_past(stream, keep, source, "past")
    if extra:
        joined = builder.call(
            _aten.slice.Tensor, joined, stream.dim, 0, _cut(builder, stream, keep, extra)
        )
    lag = stream.lag + reach - stride + extra
    return joined, stream.rate / stride, lag // stride


def _cut(builder: Builder, stream: Stream, keep: int, extra: int) -> int:
    return -extra


def _strided(builder: Builder, rate: Fraction) -> None:
    builder.step_frames = lcm(builder.step_frames, rate.denominator)


def masked(builder: Builder, stream: Stream, source: fx.Node, value: float) -> fx.Node:
    """Return a stream's elements, with ``value`` for those that come before the first frame."""
    mask = builder.valid(stream, source)
    if mask is None:
        return stream.node
    filler = builder.call(_aten.full_like.default, stream.node, value)
    return builder.call(_aten.where.self, mask, stream.node, filler)


def padded(
    builder: Builder, stream: Stream, before: int, seen: Tensor, source: fx.Node, value: float = 0.0
) -> Stream:
    """Return a stream with ``before`` elements of ``value`` in front; ``seen`` has them."""
    node = masked(builder, stream, source, value) if before else stream.node
    return replace(stream, node=node, seen=seen, lag=stream.lag - before)


def _convolution(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    spatial = len(given["stride"]) if isinstance(given["stride"], tuple) else 1
    if stream is None or stream.dim < stream.seen.dim() - spatial:
        return None
    place = stream.dim - (stream.seen.dim() - spatial)
    kernel = builder.values[operands(node)[1]].seen.shape[2 + place]
    stride, dilation = _at(given["stride"], place), _at(given["dilation"], place)
    reach = dilation * (kernel - 1) + 1
    before, after = _padding(given["padding"], place, reach)
    result = builder.result(node)
    if before or after:
        widths = [0, 0] * (stream.seen.dim() - 1 - stream.dim) + [before, after]
        stream = padded(builder, stream, before, functional.pad(stream.seen, widths), node)
    joined, rate, lag = windows(builder, stream, node, reach, stride)
    _strided(builder, rate)
    rest = list(builder.numbers_in(operator_of(node), operands(node)[3:]))
    names = ["stride", "padding", "dilation", "groups"]
    made = {name: given[name] for name in names} | dict(zip(names, rest, strict=False))
    padding = [0] * spatial
    if not isinstance(given["padding"], str):
        padding = [0 if at == place else _at(given["padding"], at) for at in range(spatial)]
    weights = fx.map_arg(tuple(given[name] for name in ("weight", "bias")), builder.node_of)
    packet = getattr(_aten, operator_of(node)._schema.name.split("::")[1])
    call = builder.call(
        packet.default,
        joined,
        *weights,
        _list(given["stride"], spatial),
        padding,
        _list(given["dilation"], spatial),
        made["groups"],
        like=node,
    )
    return replace(stream, node=call, seen=result, rate=rate, lag=lag)


def _padding(given: Any, place: int, reach: int) -> tuple[int, int]:
    if given == "valid":
        return 0, 0
    if given == "same":
        return (reach - 1) // 2, reach - 1 - (reach - 1) // 2
    return _at(given, place), _at(given, place)


def _at(value: Any, place: int) -> Any:
    return value[place if len(value) > 1 else 0] if isinstance(value, tuple) else value


def _list(value: Any, count: int) -> list[int]:
    return [_at(value, place) for place in range(count)]


def _pooling(fill: float) -> Rule:
    def rule(builder: Builder, node: fx.Node) -> Value | None:
        stream, given = stream_of(builder, node), arguments(builder, node)
        spatial = 2 if "2d" in str(operator_of(node)) else 1
        if stream is None or stream.dim < stream.seen.dim() - spatial:
            return None
        place = stream.dim - (stream.seen.dim() - spatial)
        kernel, stride = (
            _at(given["kernel_size"], place),
            _at(given["stride"] or given["kernel_size"], place),
        )
        dilation, padding = _at(given.get("dilation", 1), place), _at(given["padding"], place)
        if given["ceil_mode"]:
            raise ContractError(f"{line_of(node)} pools over time with ceil_mode; use False")
        if padding and given.get("count_include_pad", True) is False:
            raise ContractError(f"{line_of(node)} leaves padding out of an average over time")
        result, reach = builder.result(node), dilation * (kernel - 1) + 1
        if padding:
            widths = [0, 0] * (stream.seen.dim() - 1 - stream.dim) + [padding, padding]
            seen = functional.pad(stream.seen, widths, value=fill)
            stream = padded(builder, stream, padding, seen, node, fill)
        joined, rate, lag = windows(builder, stream, node, reach, stride)
        _strided(builder, rate)
        names = [a.name for a in operator_of(node)._schema.arguments][1:]
        rest = {name: given[name] for name in names}
        rest["padding"] = [0 if at == place else _at(given["padding"], at) for at in range(spatial)]
        rest["stride"] = _list(given["stride"] or given["kernel_size"], spatial)
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in rest.items()}
        call = builder.call(operator_of(node), joined, like=node, **plain)
        return replace(stream, node=call, seen=result, rate=rate, lag=lag)

    return rule


def _unfold(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or not along(stream, given["dimension"]):
        return None
    result = builder.result(node)
    size, step = given["size"], given["step"]
    joined, rate, lag = windows(builder, stream, node, size, step)
    _strided(builder, rate)
    shifted = [  # as slices, which every format has
        builder.call(_aten.slice.Tensor, joined, stream.dim, at, at - size + 1 or _END, step)
        for at in range(size)
    ]
    call = builder.call(_aten.stack.default, shifted, -1, like=node)
    return replace(stream, node=call, seen=result, rate=rate, lag=lag)


def _slice(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or not along(stream, given["dim"]):
        return None
    start, step = _from_the_front(builder, stream, given["start"] or 0), given["step"]
    length, result = stream.length, builder.result(node)
    end = given["end"]
    to = length if end is None else end if isinstance(end, int) else end.at(builder.measured)
    to = min(to if to >= 0 else to + length, length)
    if isinstance(start, Length) or start < 0:
        return _newest(builder, stream, node, start, to)
    if isinstance(end, int) and 0 <= end < length:
        raise ContractError(
            f"{line_of(node)} takes the frames {start} to {end} of the sequence, which are the "
            "past for every later step; slice relative to the end, or leave it out"
        )
    shifted = replace(stream, seen=stream.part(start, to - start), lag=stream.lag + start)
    if step == 1:
        return shifted
    joined, rate, lag = windows(builder, shifted, node, 1, step)
    _strided(builder, rate)
    call = builder.call(_aten.slice.Tensor, joined, stream.dim, 0, _END, step, like=node)
    return replace(shifted, node=call, seen=result, rate=rate, lag=lag)


def _from_the_front(builder: Builder, stream: Stream, start: Any) -> Any:
    """Return where a slice begins; ``-y.shape[1]``, as long as a shorter sequence, is always the
    same number of frames from the front.
    """
    if isinstance(start, Length) and start.axes == ("time",) and start.per == -stream.rate:
        return start.at(builder.measured) + stream.length
    return start


def _newest(builder: Builder, stream: Stream, node: fx.Node, start: Any, to: int) -> Value:
    """The newest frames of the sequence, a window of fixed size that moves with the steps."""
    first = start.at(builder.measured) if isinstance(start, Length) else start + stream.length
    count = to - first
    if to != stream.length or (isinstance(start, Length) and start.per != 1):
        raise ContractError(f"{line_of(node)} takes frames that are neither the newest nor all")
    if stream.lag > 1 - count and count > 1:
        raise ContractError(
            f"{line_of(node)} takes the newest {count} frames, and at the first steps there are "
            f"fewer; put {count - 1} frames of zeros in front of them in the network"
        )
    if builder.frames is None:
        raise ClosedTimeError
    joined = builder.with_past(stream, count - 1, node, "window")
    window = builder.call(_aten.slice.Tensor, joined, stream.dim, -count, _END, like=node)
    return Moment(window, stream.part(stream.length - count, count), builder.late(stream))


def _select(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or not along(stream, given["dim"]):
        return None
    index = given["index"]
    at = index.at(builder.measured) if isinstance(index, Length) else index
    if at % stream.length != stream.length - 1 or (isinstance(index, int) and index >= 0):
        raise ContractError(
            f"{line_of(node)} takes frame {at} of the sequence: for every other step that is the "
            "past or the future. Give it as an input of its own, or take the newest, [-1]"
        )
    if builder.frames is None:
        raise ClosedTimeError
    call = builder.call(_aten.select.int, stream.node, stream.dim, -1, like=node)
    return Moment(call, builder.result(node), builder.late(stream))


# Padding and joining


def _pad(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None:
        return None
    pad = list(given["pad"])
    place = 2 * (stream.seen.dim() - 1 - stream.dim)
    before, after = (*pad[place : place + 2], 0, 0)[:2]
    if not before and not after:
        return None
    if given.get("mode", "constant") != "constant" or isinstance(before, Length):
        raise ContractError(
            f"{line_of(node)} pads time with frames of the sequence itself; pad with a constant"
        )
    value, result = float(given["value"] or 0.0), builder.result(node)
    rest = [0 if at in (place, place + 1) else width for at, width in enumerate(pad)]
    moved = padded(builder, stream, max(before, 0), result, node, value)
    moved = replace(moved, lag=moved.lag - min(before, 0))
    if not any(rest):
        return moved
    call = builder.call(_aten.constant_pad_nd.default, moved.node, rest, value, like=node)
    return replace(moved, node=call)


def _cat(builder: Builder, node: fx.Node) -> Value | None:
    parts, dim = operands(node)[0], arguments(builder, node)["dim"]
    values = [builder.values[part] for part in parts]
    streams = [value for value in values if isinstance(value, Stream)]
    if len(streams) != 1 or not along(streams[0], dim):
        return None
    stream, at = streams[0], values.index(streams[0])
    if any(isinstance(value, Moment) for value in values):
        raise ContractError(
            f"{line_of(node)} puts state in front of the frames of a call, and the network gives "
            "other results for one long call than for several short ones"
        )
    before = sum(value.seen.shape[dim] for value in values[:at])
    result = builder.result(node)
    if before and stream.lag > 0 and any(bool(value.seen.any()) for value in values[:at]):
        raise ContractError(f"{line_of(node)} puts frames that are not zero in front of late ones")
    return padded(builder, stream, before, result, node)


# Running sums and the like


def _running(start: float) -> Rule:
    def rule(builder: Builder, node: fx.Node) -> Value | None:
        stream, given = stream_of(builder, node), arguments(builder, node)
        if stream is None or not along(stream, given["dim"]):
            return None
        result = builder.result(node)
        first = torch.full_like(result.narrow(stream.dim, 0, 1), start)
        if stream.lag < 0:
            first = replace(stream, seen=result).part(-stream.lag - 1, 1)
        stream = replace(stream, node=masked(builder, stream, operands(node)[0], start))
        name, where = builder.named(node, "running")
        slot = builder.state(name, where, first, builder.batch_axis(node))
        if operator_of(node) is _aten.cumsum.default and result.is_floating_point():
            part = builder.call(operator_of(node), stream.node, stream.dim, like=node)
            call = _added(builder, slot, part, stream.dim)
            return replace(stream, node=call, seen=result)
        call = _in_turn(builder, slot, stream, _JOINS[operator_of(node)])
        return replace(stream, node=call, seen=result)

    return rule


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


_JOINS: dict[Any, Callable[..., fx.Node]] = {
    _aten.cumsum.default: _plainly(_aten.add.Tensor),
    _aten.cumprod.default: _plainly(_aten.mul.Tensor),
    _aten.logcumsumexp.default: _added_in_logarithms,
}


def _added(builder: Builder, slot: StateSlot, part: fx.Node, dim: int) -> fx.Node:
    """Add running sums to the sum so far and keep the last one; what rounding drops of it is a
    state too, so that a million additions are as exact as one (Kahan 1965, Knuth's TwoSum).
    """
    rest = builder.state(f"{slot.name}_rest", slot.where, torch.zeros_like(slot.first), slot.batch)
    add, sub = _aten.add.Tensor, _aten.sub.Tensor
    part = builder.call(add, rest.node, part)
    total = builder.call(add, slot.node, part)
    last, whole = (builder.call(_aten.slice.Tensor, n, dim, -1, _END) for n in (part, total))
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
    if stream.lag:
        raise ContractError(f"{line_of(node)} runs over frames that come late or are padding")
    if builder.frames is None:
        raise ClosedTimeError
    name, (start, join) = operator_of(node)._schema.name.split("::")[1], _TOTALS[operator_of(node)]
    result, dim, keep = builder.result(node), stream.dim, given["keepdim"]
    part = builder.call(
        _SUMS.get(operator_of(node), operator_of(node)), stream.node, [dim], True, like=node
    )
    batch = builder.batch_axis(operands(node)[0])
    slot_name, where = builder.named(node, name)
    first = torch.full_like(stream.seen.narrow(dim, 0, 1), start)
    slot = builder.state(slot_name, where, first, batch)
    if join is _aten.add.Tensor and first.is_floating_point():
        made = _added(builder, slot, part, dim)
    else:
        made = slot.next = builder.call(join, slot.node, part)
    if operator_of(node) is _aten.mean.dim:
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
_SUMS = {_aten.mean.dim: _aten.sum.dim_IntList}

RULES: dict[Any, Rule] = {
    _aten.conv1d.default: _convolution,
    _aten.conv1d.padding: _convolution,
    _aten.conv2d.default: _convolution,
    _aten.conv2d.padding: _convolution,
    _aten.max_pool1d.default: _pooling(float("-inf")),
    _aten.max_pool2d.default: _pooling(float("-inf")),
    _aten.avg_pool1d.default: _pooling(0.0),
    _aten.avg_pool2d.default: _pooling(0.0),
    _aten.unfold.default: _unfold,
    _aten.slice.Tensor: _slice,
    _aten.select.int: _select,
    _aten.pad.default: _pad,
    _aten.constant_pad_nd.default: _pad,
    _aten.cat.default: _cat,
    _aten.cumsum.default: _running(0.0),
    _aten.cumprod.default: _running(1.0),
    _aten.logcumsumexp.default: _running(float("-inf")),
    _aten.sum.dim_IntList: _total,
    _aten.mean.dim: _total,
    _aten.amax.default: _total,
    _aten.amin.default: _total,
    **recurrent_rules(),
}
