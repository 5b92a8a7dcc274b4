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
from edgernn.hoisting.past import newest, valid
from edgernn.hoisting.places import line_of
from edgernn.hoisting.stream import Constant, Moment, Stream, Value
from edgernn.hoisting.together import constants_along_time

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
        constants_along_time(builder, node)
        stream = builder.values[operands(node)[0]]
        stream = stream.apart() if isinstance(stream, Stream) else stream
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
    result = builder.result(node)
    mask = valid(builder, stream, operands(node)[0])

    def run(taken: fx.Node, before: list[fx.Node]) -> list[fx.Node]:
        state = before if len(names) > 1 else before[0]
        call = builder.call(operator_of(node), taken, state, weights, *rest, like=node)
        return [builder.call(operator.getitem, call, at, like=node) for at in range(len(names) + 1)]

    if mask is None:
        made = run(stream.node, held)
    else:
        made = _each_in_turn(builder, stream, mask, held, run)
    after = made[1:]
    for slot, one in zip(slots, after, strict=False):
        slot.next = one
    output = replace(stream, node=made[0], seen=result[0])
    return (
        output,
        *(newest(builder, n, s, stream) for n, s in zip(after, result[1:], strict=True)),
    )


def _each_in_turn(
    builder: Builder,
    stream: Stream,
    mask: fx.Node,
    held: list[fx.Node],
    run: Callable[[fx.Node, list[fx.Node]], list[fx.Node]],
) -> list[fx.Node]:
    """Run the layer element by element, and keep the first state until the first one has come.

    Args:
        builder: of the step graph.
        stream: what the layer reads; late.
        mask: which of a call's elements have come.
        held: the state before.
        run: one element and the state to the output and the state after it.
    """
    assert builder.frames is not None  # else there is no mask
    batched, outputs = stream.seen.dim() == 3, []
    for at in range(max(1, int(builder.frames * stream.rate))):
        taken, here = (
            builder.call(_aten.slice.Tensor, node, stream.dim, at, at + 1)
            for node in (stream.node, mask)
        )
        output, *after = run(taken, held)
        here = builder.call(_aten.view.default, here, [1, -1, 1] if batched else [1, 1])
        held = [
            builder.call(_aten.where.self, here, new, old)
            for new, old in zip(after, held, strict=True)
        ]
        outputs.append(output)
    if len(outputs) == 1:
        return [outputs[0], *held]
    return [builder.call(_aten.cat.default, outputs, stream.dim), *held]


def _after_padding(node: fx.Node, stream: Stream, builder: Builder, index: int) -> Tensor | None:
    """Return the state once the padding in front of the first frame has been read."""
    if stream.lag >= 0:
        return None
    padding = stream.part(0, -stream.lag)
    after = run(node, lambda n: padding if n is operands(node)[0] else builder.values[n].seen)
    return tensors_in(after)[1 + index]
