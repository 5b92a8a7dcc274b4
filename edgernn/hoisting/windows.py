"""What the rules of operators over time share: arguments, windows, and what stands in front."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import lcm
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.past import valid, with_past
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Stream
from edgernn.hoisting.together import constants_along_time
from edgernn.hoisting.writer import ClosedTimeError

_aten = torch.ops.aten
END = 2**63 - 1  # of a slice that ends nowhere


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
    constants_along_time(builder, node)
    value = builder.values[operands(node)[0]]
    return value.apart() if isinstance(value, Stream) else None


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
    joined = with_past(builder, stream, keep, source, "past")
    if extra:
        joined = builder.call(_aten.slice.Tensor, joined, stream.dim, 0, -extra)
    lag = stream.lag + reach - stride + extra
    if stream.repeats and lag < 0:
        raise ContractError(
            f"{line_of(source)} reads fewer frames back than the first one was repeated before; "
            "pad with a constant"
        )
    return joined, stream.rate / stride, lag // stride


def strided(builder: Builder, rate: Fraction) -> None:
    """Let a step have as many frames as a stream of ``rate`` needs."""
    builder.step_frames = lcm(builder.step_frames, rate.denominator)


def masked(builder: Builder, stream: Stream, source: fx.Node, value: float) -> fx.Node:
    """Return a stream's elements, with ``value`` for those that come before the first frame."""
    mask = valid(builder, stream, source)
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


def repeated(
    builder: Builder, stream: Stream, before: int, seen: Tensor, source: fx.Node
) -> Stream:
    """Return a stream with its first frame again, ``before`` times, in front."""
    if stream.lag:
        raise ContractError(
            f"{line_of(source)} repeats the first frame in front of late or padded ones; pad with "
            "a constant"
        )
    if builder.frames is None:
        raise ClosedTimeError
    return replace(stream, seen=seen, lag=-before, repeats=before > 0)


def at_place(value: Any, place: int) -> Any:
    """Return what an argument says of one spatial axis: it may say one thing for all of them."""
    return value[place if len(value) > 1 else 0] if isinstance(value, (tuple, list)) else value


def for_places(value: Any, count: int) -> list[int]:
    """Return what an argument says of each spatial axis."""
    return [at_place(value, place) for place in range(count)]
