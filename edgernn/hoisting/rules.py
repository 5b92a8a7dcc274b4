"""Operators that mix frames in a way that can be stepped: what each keeps of the past, a row each.

A rule gets the builder and the node, and returns what the node becomes, or None where it does not
mix frames there (a convolution over another axis): then it is taken over as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.past import newest, with_past
from edgernn.hoisting.places import line_of
from edgernn.hoisting.pooling import pooling_rules
from edgernn.hoisting.recurrent import recurrent_rules
from edgernn.hoisting.sizes import Length
from edgernn.hoisting.stream import Constant, Moment, Stream, Value
from edgernn.hoisting.totals import total_rules
from edgernn.hoisting.turned import turned_rules
from edgernn.hoisting.upsampling import upsampling_rules
from edgernn.hoisting.windows import (
    END,
    along,
    arguments,
    at_place,
    for_places,
    padded,
    repeated,
    stream_of,
    strided,
    windows,
)
from edgernn.hoisting.writer import ClosedTimeError

_aten = torch.ops.aten
Rule = Callable[[Builder, fx.Node], Value | tuple[Value, ...] | None]


def _convolution(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    spatial = len(given["stride"]) if isinstance(given["stride"], tuple) else 1
    if stream is None or stream.dim < stream.seen.dim() - spatial:
        return None
    place = stream.dim - (stream.seen.dim() - spatial)
    kernel = builder.values[operands(node)[1]].seen.shape[2 + place]
    stride, dilation = at_place(given["stride"], place), at_place(given["dilation"], place)
    reach = dilation * (kernel - 1) + 1
    before, after = _padding(given["padding"], place, reach)
    result = builder.result(node)
    if before or after:
        widths = [0, 0] * (stream.seen.dim() - 1 - stream.dim) + [before, after]
        stream = padded(builder, stream, before, functional.pad(stream.seen, widths), node)
    joined, rate, lag = windows(builder, stream, node, reach, stride)
    strided(builder, rate)
    rest = list(builder.numbers_in(operator_of(node), operands(node)[3:]))
    names = ["stride", "padding", "dilation", "groups"]
    made = {name: given[name] for name in names} | dict(zip(names, rest, strict=False))
    padding = [0] * spatial
    if not isinstance(given["padding"], str):
        padding = [0 if at == place else at_place(given["padding"], at) for at in range(spatial)]
    weights = fx.map_arg(tuple(given[name] for name in ("weight", "bias")), builder.node_of)
    packet = getattr(_aten, operator_of(node)._schema.name.split("::")[1])
    call = builder.call(
        packet.default,
        joined,
        *weights,
        for_places(given["stride"], spatial),
        padding,
        for_places(given["dilation"], spatial),
        made["groups"],
        like=node,
    )
    return replace(stream, node=call, seen=result, rate=rate, lag=lag, repeats=False)


def _padding(given: Any, place: int, reach: int) -> tuple[int, int]:
    if given == "valid":
        return 0, 0
    if given == "same":
        return (reach - 1) // 2, reach - 1 - (reach - 1) // 2
    return at_place(given, place), at_place(given, place)


def _unfold(builder: Builder, node: fx.Node) -> Value | None:
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or not along(stream, given["dimension"]):
        return None
    result = builder.result(node)
    size, step = given["size"], given["step"]
    joined, rate, lag = windows(builder, stream, node, size, step)
    strided(builder, rate)
    shifted = [  # as slices, which every format has
        builder.call(_aten.slice.Tensor, joined, stream.dim, at, at - size + 1 or END, step)
        for at in range(size)
    ]
    call = builder.call(_aten.stack.default, shifted, -1, like=node)
    return replace(stream, node=call, seen=result, rate=rate, lag=lag, repeats=False)


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
    strided(builder, rate)
    call = builder.call(_aten.slice.Tensor, joined, stream.dim, 0, END, step, like=node)
    return replace(shifted, node=call, seen=result, rate=rate, lag=lag, repeats=False)


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
    joined = with_past(builder, stream, count - 1, node, "window")
    window = builder.call(_aten.slice.Tensor, joined, stream.dim, -count, END, like=node)
    return newest(builder, window, stream.part(stream.length - count, count), stream)


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
    return newest(builder, call, builder.result(node), stream)


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
    if given.get("mode") == "replicate" and not isinstance(before, Length) and before >= 0:
        return repeated(builder, stream, before, builder.result(node), node)
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
    if len(streams) > 1 and along(streams[0], dim):
        raise ContractError(
            f"{line_of(node)} puts one sequence after the other: the second one begins where the "
            "first one ends, which no step knows. Put them side by side, along another axis"
        )
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


def _difference(builder: Builder, node: fx.Node) -> Value | None:
    """Each element less the one before it."""
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or not along(stream, given["dim"]) or given["append"] is not None:
        return None
    result, front = builder.result(node), given["prepend"]
    if front is not None:
        before = builder.values[front]
        if not isinstance(before, Constant):
            return None
        seen = torch.cat([before.seen, stream.seen], stream.dim)
        stream = padded(builder, stream, before.seen.shape[stream.dim], seen, node)
    joined, rate, lag = windows(builder, stream, node, given["n"] + 1, 1)
    call = builder.call(_aten.diff.default, joined, given["n"], stream.dim, like=node)
    return replace(stream, node=call, seen=result, rate=rate, lag=lag, repeats=False)


RULES: dict[Any, Rule] = {
    _aten.conv1d.default: _convolution,
    _aten.conv1d.padding: _convolution,
    _aten.conv2d.default: _convolution,
    _aten.conv2d.padding: _convolution,
    _aten.unfold.default: _unfold,
    _aten.slice.Tensor: _slice,
    _aten.select.int: _select,
    _aten.pad.default: _pad,
    _aten.constant_pad_nd.default: _pad,
    _aten.cat.default: _cat,
    _aten.diff.default: _difference,
    **pooling_rules(),
    **recurrent_rules(),
    **total_rules(),
    **turned_rules(),
    **upsampling_rules(),
}
