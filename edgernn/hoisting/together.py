"""Streams that one operator takes: constants as long as the sequence, and delays until all are late
alike.
"""

from __future__ import annotations

from dataclasses import replace

from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.past import delayed
from edgernn.hoisting.places import line_of
from edgernn.hoisting.sizes import Length
from edgernn.hoisting.stream import Constant, Stream, close


def constants_along_time(builder: Builder, node: fx.Node) -> None:
    """Let constants that are made as long as the sequence be streams of equal elements."""
    for operand in node.all_input_nodes:
        value = builder.values.get(operand)
        dim = builder.sizes.axis_of(operand, "time")
        if not isinstance(value, Constant) or dim is None:
            continue
        size = builder.sizes.shapes[operand][dim]
        assert isinstance(size, Length)
        if not close(value.seen, value.seen.narrow(dim, 0, 1).expand_as(value.seen)):
            assert builder.counted is not None
            builder.borrowed[operand] = value
            builder.values[operand] = builder.counted(builder, operand, value, dim, node)
            continue
        rows = 1
        for axis in set(size.axes) - {"time"}:
            rows *= builder.measured[axis]
        builder.values[operand] = Stream(
            builder.constant(operand), value.seen, dim, size.per, lag=-(10**9), outer=rows
        )


def together(builder: Builder, node: fx.Node) -> list[Stream]:
    """Delay the streams that an operator takes until they are late alike."""
    found = {n: v for n in node.all_input_nodes if isinstance(v := builder.values.get(n), Stream)}
    real = [v for v in found.values() if v.lag > -(10**8)]
    if not real:
        return list(found.values())
    if len({(v.rate, v.inner) for v in real}) > 1:
        found = {n: v.apart() for n, v in found.items()}
        real = [v for v in found.values() if v.lag > -(10**8)]
        builder.values |= found
    if any(v.repeats for v in real) and len({(v.repeats, v.lag) for v in real}) > 1:
        raise ContractError(
            f"{line_of(node)} brings frames in front of which the first one is repeated "
            "together with others; pad them alike, or with a constant"
        )
    latest = max(stream.lag for stream in real)
    for operand, stream in found.items():
        if stream.lag <= -(10**8):
            builder.values[operand] = replace(stream, lag=latest)
        elif stream.lag < latest:
            builder.values[operand] = delayed(builder, stream, latest - stream.lag, operand)
    return [builder.stream(operand) for operand in found]
