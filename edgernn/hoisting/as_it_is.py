"""Operators that do not mix frames, taken over as they are: that they do not is seen by
running them on a part of what the whole sequence gave.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operator_of
from edgernn.hoisting.places import line_of
from edgernn.hoisting.sizes import Length
from edgernn.hoisting.stream import Moment, Stream, Value, close, part
from edgernn.hoisting.together import constants_along_time, together


def as_it_is(builder: Builder, node: fx.Node) -> Value | tuple[Value, ...]:
    """Take an operator over unchanged, once it is seen that it does not mix frames.

    Raises:
        ContractError: it does.
    """
    constants_along_time(builder, node)
    streams = together(builder, node)
    result = builder.result(node)
    if streams and any(isinstance(builder.values[n], Moment) for n in node.all_input_nodes):
        raise ContractError(
            f"{line_of(node)} brings all frames together with what is known of one moment: at "
            "an earlier frame that lies in the future, or in a state as it was before the call"
        )
    if not streams:
        return _moment(builder, node, result)
    several = isinstance(result, (tuple, list))
    results = list(result) if several else [result]
    trial = _on_a_part(builder, node, streams)
    trials = list(trial) if several else [trial]
    places = [
        _placed(whole, piece, streams[0], _trial(streams[0]))
        for whole, piece in zip(results, trials, strict=True)
    ]
    made = _copy(builder, node)
    values = []
    for index, (whole, place) in enumerate(zip(results, places, strict=True)):
        one = builder.call(operator.getitem, made, index, like=node) if several else made
        if place is None:
            raise ContractError(_refusal(node))
        dim, outer, inner = place
        values.append(replace(streams[0], node=one, seen=whole, dim=dim, outer=outer, inner=inner))
    return tuple(values) if several else values[0]


def _moment(builder: Builder, node: fx.Node, result: Any) -> Value | tuple[Value, ...]:
    moments = [v for n in node.all_input_nodes if isinstance(v := builder.values[n], Moment)]
    delay, held = max(m.delay for m in moments), any(m.held for m in moments)
    warmup = max(m.warmup for m in moments)
    made = _copy(builder, node)
    if isinstance(result, (tuple, list)):
        return tuple(
            Moment(builder.call(operator.getitem, made, at, like=node), one, delay, held, warmup)
            for at, one in enumerate(result)
        )
    return Moment(made, result, delay, held, warmup)


def _copy(builder: Builder, node: fx.Node) -> fx.Node:
    args = fx.map_arg(builder.sizes.args[node], builder.node_of)
    kwargs = fx.map_arg(builder.sizes.kwargs[node], builder.node_of)
    return builder.call(
        operator_of(node),
        *builder.numbers_in(operator_of(node), args),
        like=node,
        **{k: builder.numbers(operator_of(node), v) for k, v in kwargs.items()},
    )


def _trial(stream: Stream) -> tuple[int, int]:
    """Return where a part for trying begins and how long it is, in elements."""
    unit = stream.rate.numerator
    whole = stream.length // unit
    fewest = max(1, whole // 3)
    start = max(0, min(fewest + 1, whole - fewest))  # not the middle: see what turns round
    return start * unit, fewest * unit


def _on_a_part(builder: Builder, node: fx.Node, streams: Sequence[Stream]) -> Any:
    start, count = _trial(streams[0])
    frames = Fraction(count) / streams[0].rate
    sizes: dict[str, int | Fraction] = dict(builder.measured)

    def given(operand: fx.Node) -> Tensor:
        value = builder.values[operand]
        return value.part(start, count) if isinstance(value, Stream) else value.seen

    def number(value: Any) -> Any:
        if isinstance(value, Length):
            if "time" not in value.axes:
                return value.at(builder.measured)
            return int(value.product({**sizes, "time": frames}))
        return [number(v) for v in value] if isinstance(value, tuple) else value

    args = [number(a) for a in fx.map_arg(builder.sizes.args[node], given)]
    kwargs = {k: number(v) for k, v in fx.map_arg(builder.sizes.kwargs[node], given).items()}
    try:
        with torch.no_grad():
            return operator_of(node)(*args, **kwargs)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise ContractError(_refusal(node)) from error


def _placed(
    whole: Tensor, piece: Tensor, stream: Stream, trial: tuple[int, int]
) -> tuple[int, int, int] | None:
    """Find the axis of an operator's result that holds time: (dim, outer, inner)."""
    start, count = trial
    if whole.dim() != piece.dim():
        return None
    for dim, (size, small) in enumerate(zip(whole.shape, piece.shape, strict=True)):
        rows, rest = divmod(size, stream.length)
        if rest or small != rows * count:
            continue
        for outer in (d for d in range(1, rows + 1) if rows % d == 0):
            if close(piece, part(whole, dim, outer, rows // outer, start, count)):
                return dim, outer, rows // outer
    return None


def _refusal(node: fx.Node) -> str:
    return (
        f"{line_of(node)} needs every frame of the sequence at once: a step has only its own "
        "and what came before, in a state of fixed size. Attention over all of the past, a "
        "softmax or a normalisation along time cannot be stepped"
    )
