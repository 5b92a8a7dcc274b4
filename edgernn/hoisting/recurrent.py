"""Recurrent layers in a step graph: the state that they start from becomes an input."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operands, operator_of, run, tensors_in
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Constant, Moment, Stream, Value

_aten = torch.ops.aten
_PARAMETERS = ("has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first")


def recurrent_rules() -> dict[Any, Callable[..., Any]]:
    """Return operator → rule, for the table of rules."""
    return {
        _aten.lstm.input: _layers(("h", "c")),
        _aten.gru.input: _layers(("h",)),
        _aten.rnn_tanh.input: _layers(("h",)),
        _aten.rnn_relu.input: _layers(("h",)),
    }


def _layers(names: tuple[str, ...]) -> Callable[[Builder, fx.Node], Any]:
    def rule(builder: Builder, node: fx.Node) -> tuple[Value, ...] | None:
        builder._constants_along_time(node)
        stream = builder.values[operands(node)[0]]
        given = dict(zip(_PARAMETERS, operands(node)[3:], strict=True))
        unbatched = isinstance(stream, Stream) and stream.seen.dim() == 2
        time = 0 if unbatched or not given["batch_first"] else 1
        if not isinstance(stream, Stream) or stream.dim != time:
            return None
        if (stream.outer, stream.inner) != (1, 1):
            return None
        if given["bidirectional"]:
            path, where = builder.named(node, ""), line_of(node)
            raise ContractError(
                f"{path[0].rstrip('_')} at {where} is bidirectional over time: it needs the "
                "future. If it reads a whole input once, give that input another axis than time, "
                "and it becomes encode; else train it in one direction"
            )
        return _step(builder, node, stream, names)

    return rule


def _step(
    builder: Builder, node: fx.Node, stream: Stream, names: tuple[str, ...]
) -> tuple[Value, ...]:
    given = (
        operands(node)[1] if isinstance(operands(node)[1], (list, tuple)) else [operands(node)[1]]
    )
    held, slots = [], []
    for name, first in zip(names, given, strict=True):
        value = builder.values[first]
        if isinstance(value, Constant):
            hint, where = builder.named(node, name)
            start = _after_padding(node, stream, builder, names.index(name))
            slot = builder.state(
                hint, where, value.seen if start is None else start, builder.batch_axis(first)
            )
            slots.append(slot)
            held.append(slot.node)
        elif isinstance(value, Moment) and value.held:
            held.append(value.node)
        else:
            raise ContractError(
                f"{line_of(node)} starts from what the frames themselves give; a state has a "
                "first value before the first frame"
            )
    weights = [builder.node_of(w) for w in operands(node)[2]]
    rest = list(operands(node)[3:])
    state = held if len(names) > 1 else held[0]
    call = builder.call(operator_of(node), stream.node, state, weights, *rest, like=node)
    result = builder.result(node)
    made = [builder.call(operator.getitem, call, at, like=node) for at in range(len(names) + 1)]
    after = made[1:]
    mask = builder.valid(stream, operands(node)[0])
    for index, (one, before) in enumerate(zip(after, held, strict=True)):
        if mask is not None:
            after[index] = _kept_until(builder, mask, one, before, stream, node)
    for slot, one in zip(slots, after, strict=False):
        slot.next = one
    output = replace(stream, node=made[0], seen=result[0])
    return (
        output,
        *(Moment(n, s, builder.late(stream)) for n, s in zip(after, result[1:], strict=True)),
    )


def _kept_until(
    builder: Builder, mask: fx.Node, after: fx.Node, before: fx.Node, stream: Stream, node: fx.Node
) -> fx.Node:
    """Keep the first state until the first element has come; a call must bring one element."""
    if builder.frames is None or builder.frames * stream.rate > 1:
        raise ContractError(f"{line_of(node)} is given frames that come late, several in a step")
    batched = stream.seen.dim() == 3
    here = builder.call(_aten.view.default, mask, [1, -1, 1] if batched else [1, 1])
    return builder.call(_aten.where.self, here, after, before)


def _after_padding(node: fx.Node, stream: Stream, builder: Builder, index: int) -> Tensor | None:
    """Return the state once the padding in front of the first frame has been read."""
    if stream.lag >= 0:
        return None
    padding = stream.part(0, -stream.lag)
    after = run(node, lambda n: padding if n is operands(node)[0] else builder.values[n].seen)
    return tensors_in(after)[1 + index]
