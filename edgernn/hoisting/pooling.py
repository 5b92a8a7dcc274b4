"""Pooling over time: windows of the newest elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operator_of
from edgernn.hoisting.stream import Stream
from edgernn.hoisting.windows import (
    arguments,
    at_place,
    for_places,
    padded,
    stream_of,
    strided,
    windows,
)

_aten = torch.ops.aten


def pooling_rules() -> dict[Any, Callable[..., Any]]:
    """Return operator → rule, for the table of rules."""
    return {
        _aten.max_pool1d.default: _pooling(float("-inf")),
        _aten.max_pool2d.default: _pooling(float("-inf")),
        _aten.avg_pool1d.default: _pooling(0.0),
        _aten.avg_pool2d.default: _pooling(0.0),
    }


def _pooling(fill: float) -> Callable[..., Any]:
    def rule(builder: Builder, node: fx.Node) -> Stream | None:
        stream, given = stream_of(builder, node), arguments(builder, node)
        spatial = 2 if "2d" in str(operator_of(node)) else 1
        if stream is None or stream.dim < stream.seen.dim() - spatial:
            return None
        place = stream.dim - (stream.seen.dim() - spatial)
        kernel, stride = (
            at_place(given["kernel_size"], place),
            at_place(given["stride"] or given["kernel_size"], place),
        )
        dilation, padding = (
            at_place(given.get("dilation", 1), place),
            at_place(given["padding"], place),
        )
        result, reach = builder.result(node), dilation * (kernel - 1) + 1
        if given["ceil_mode"]:  # no step has the part of a window that ends the sequence
            whole = (stream.length + 2 * padding - reach) // stride + 1
            result = result.narrow(stream.dim, 0, whole)
        original = stream
        if padding:
            widths = [0, 0] * (stream.seen.dim() - 1 - stream.dim) + [padding, padding]
            seen = functional.pad(stream.seen, widths, value=fill)
            stream = padded(builder, stream, padding, seen, node, fill)
        joined, rate, lag = windows(builder, stream, node, reach, stride)
        strided(builder, rate)
        names = [a.name for a in operator_of(node)._schema.arguments][1:]
        rest = {name: given[name] for name in names}
        rest["padding"] = [
            0 if at == place else at_place(given["padding"], at) for at in range(spatial)
        ]
        rest["stride"] = for_places(given["stride"] or given["kernel_size"], spatial)
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in rest.items()}
        plain["ceil_mode"] = False
        call = builder.call(operator_of(node), joined, like=node, **plain)
        if padding and given.get("count_include_pad", True) is False:
            call = _of_those_inside(builder, node, original, padding, (reach, stride), call, plain)
        return replace(stream, node=call, seen=result, rate=rate, lag=lag, repeats=False)

    return rule


def _of_those_inside(
    builder: Builder,
    node: fx.Node,
    stream: Stream,
    padding: int,
    window: tuple[int, int],
    average: fx.Node,
    pooling: dict[str, Any],
) -> fx.Node:
    """Divide averages by the share of their windows that is not padding."""
    ones = builder.call(_aten.full_like.default, stream.node, 1.0)
    stream = replace(stream, node=ones, seen=torch.ones_like(stream.seen))
    widths = [0, 0] * (stream.seen.dim() - 1 - stream.dim) + [padding, padding]
    inside = padded(builder, stream, padding, functional.pad(stream.seen, widths), node)
    joined, _, _ = windows(builder, inside, node, *window)
    share = builder.call(operator_of(node), joined, like=node, **pooling)
    return builder.call(_aten.div.Tensor, average, share)
