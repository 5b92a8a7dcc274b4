"""Operators that give several elements for one: repeated ones, transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operator_of
from edgernn.hoisting.past import with_past
from edgernn.hoisting.stream import Stream
from edgernn.hoisting.windows import END, along, arguments, at_place, masked, stream_of, strided

_aten = torch.ops.aten


def upsampling_rules() -> dict[Any, Callable[..., Any]]:
    """Return operator → rule, for the table of rules."""
    return {
        _aten.conv_transpose1d.default: _transposed,
        _aten.conv_transpose2d.input: _transposed,
        _aten.repeat_interleave.self_int: _repeated,
    }


def _repeated(builder: Builder, node: fx.Node) -> Stream | None:
    """Each element several times; written so that every exporter has it."""
    stream, given = stream_of(builder, node), arguments(builder, node)
    if stream is None or given["dim"] is None or not along(stream, given["dim"]):
        return None
    times, dim = given["repeats"], stream.dim
    made = builder.call(_aten.stack.default, [stream.node] * times, dim + 1, like=node)
    made = builder.call(_aten.flatten.using_ints, made, dim, dim + 1)
    rate, lag = stream.rate * times, stream.lag * times
    return replace(stream, node=made, seen=builder.result(node), rate=rate, lag=lag)


def _transposed(builder: Builder, node: fx.Node) -> Stream | None:
    """An element spreads over ``reach`` places from ``stride`` times its own on; those that later
    elements spread to, too, are not given out before these have come.
    """
    stream, given = stream_of(builder, node), arguments(builder, node)
    spatial = 2 if "2d" in str(operator_of(node)) else 1
    if stream is None or stream.dim < stream.seen.dim() - spatial:
        return None
    place = stream.dim - (stream.seen.dim() - spatial)
    told = {
        name: [at_place(given[name], at) for at in range(spatial)]
        for name in ("stride", "padding", "output_padding", "dilation")
    }
    kernel = builder.values[given["weight"]].seen.shape[2 + place]
    stride, cut = told["stride"][place], told["padding"][place]
    reach = told["dilation"][place] * (kernel - 1) + 1
    result, keep = builder.result(node), (reach - 1) // stride
    if stream.lag > 0:
        stream = replace(stream, node=masked(builder, stream, node, 0.0))
    joined = with_past(builder, stream, keep, node, "past")
    told["padding"][place] = 0
    told["output_padding"][place] = max(0, stride - reach)  # places that nothing spreads to
    weights = fx.map_arg((given["weight"], given["bias"]), builder.node_of)
    call = builder.call(
        operator_of(node), joined, *weights, told["stride"], told["padding"],
        told["output_padding"], given["groups"], told["dilation"], like=node,
    )  # fmt: skip
    end = -(reach - stride) if reach > stride else END
    call = builder.call(_aten.slice.Tensor, call, stream.dim, keep * stride, end)
    rate = stream.rate * stride
    strided(builder, rate)
    return replace(
        stream, node=call, seen=result, rate=rate, lag=stream.lag * stride + cut, repeats=False
    )
