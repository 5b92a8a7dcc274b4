"""What a step still has of frames that came before: streams that come later, their last elements as
state, and which elements lie before the first frame.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Moment, Stream
from edgernn.hoisting.writer import ClosedTimeError

_aten = torch.ops.aten


def delayed(builder: Builder, stream: Stream, elements: int, source: fx.Node) -> Stream:
    """Return a stream that comes ``elements`` later; those on the way are state."""
    joined = with_past(builder, stream, elements, source, "delay")
    node = builder.call(_aten.slice.Tensor, joined, stream.dim, 0, -elements)
    return replace(stream, node=node, lag=stream.lag + elements)


def with_past(
    builder: Builder, stream: Stream, elements: int, source: fx.Node, what: str
) -> fx.Node:
    """Return the last ``elements`` of a stream, which become state, and what a call brings."""
    if elements == 0:
        return stream.node
    stream = stream.apart()
    if (stream.outer, stream.inner) != (1, 1):
        raise ContractError(
            f"{line_of(source)} looks back over time, laid into one axis with the rows; keep "
            "time an axis of its own there"
        )
    first = past_before_start(builder, stream, elements)
    first = torch.zeros_like(first) if stream.repeats else first
    name, where = builder.named(source, what)
    slot = builder.state(name, where, first, builder.batch_axis(source))
    past = slot.node
    if stream.repeats:
        newest = builder.call(_aten.slice.Tensor, stream.node, stream.dim, 0, 1)
        begun = builder.call(_aten.gt.Scalar, builder.counter(), 0)
        shape = [1] * stream.seen.dim()
        shape[slot.batch or 0] = -1
        begun = builder.call(_aten.view.default, begun, shape)
        past = builder.call(_aten.where.self, begun, slot.node, newest)
    joined = builder.call(_aten.cat.default, [past, stream.node], stream.dim)
    slot.next = builder.call(_aten.slice.Tensor, joined, stream.dim, -elements, 2**63 - 1)
    return joined


def past_before_start(builder: Builder, stream: Stream, elements: int) -> Tensor:
    """Return what stands before the first element that comes: padding that was seen, else
    zeros, which no output that counts is made of.
    """
    begin = -stream.lag - elements  # the index of the oldest one
    known = [
        stream.part(i, 1) if i >= 0 else torch.zeros_like(stream.part(0, 1))
        for i in range(begin, -stream.lag)
    ]
    return torch.cat(known, stream.dim)


def missing(builder: Builder, stream: Stream) -> int:
    """Return by how many elements the whole sequence's stream is shorter than its frames, as a
    convolution without padding makes it: no later frame would bring those.
    """
    return int(builder.measured["time"] * stream.rate) - stream.length


def late(builder: Builder, value: Stream | Moment) -> Fraction:
    """Return by how many frames a value waits for later ones."""
    if isinstance(value, Moment):
        return value.delay
    return (value.lag - missing(builder, value)) / value.rate


def newest(builder: Builder, node: fx.Node, seen: Tensor, stream: Stream) -> Moment:
    """Return what is made of the newest element of a stream; ``node`` and ``seen`` are the new
    moment's.
    """
    warmup = missing(builder, stream) / stream.rate
    return Moment(node, seen, late(builder, stream), warmup=warmup)


def unlike(value: Stream | Moment) -> int:
    """Return how many frames come before the first whose value the network itself has: those by
    which it is late, and those that a convolution without padding needs to begin.
    """
    frames = value.delay + (value.warmup if isinstance(value, Moment) else 0)
    return max(0, math.ceil(frames))


def valid(builder: Builder, stream: Stream, source: fx.Node) -> fx.Node | None:
    """Return which elements of a call lie at or after index 0, bool, broadcast over the stream;
    None where all do.
    """
    stream = stream.apart()
    if stream.lag <= 0:
        return None
    if builder.frames is None:
        raise ClosedTimeError
    batch, count = builder.batch_axis(source), max(1, int(builder.frames * stream.rate))
    if (stream.outer, stream.inner) != (1, 1):
        raise ContractError(
            f"{line_of(source)} comes late and lies in one axis with the rows; keep time an "
            "axis of its own there"
        )
    seen = builder.call(_aten.mul.Tensor, builder.counter(), stream.rate.numerator)
    if stream.rate.denominator > 1:
        seen = builder.call(_aten.floor_divide.default, seen, stream.rate.denominator)
    place = builder.call(_aten.unsqueeze.default, seen, 1)
    place = builder.call(_aten.add.Tensor, place, builder.call(_aten.arange.default, count))
    mask = builder.call(_aten.ge.Scalar, place, stream.lag)  # [B, count]
    shape = [1] * stream.seen.dim()
    shape[stream.dim] = count
    if batch is not None:
        shape[batch] = -1
        if batch > stream.dim:
            mask = builder.call(_aten.transpose.int, mask, 0, 1)
    return builder.call(_aten.view.default, mask, shape)
