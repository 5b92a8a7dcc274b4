"""A whole sequence's graph made into the graph of a step, operator by operator.

What does not mix frames is taken over as it is. What mixes frames in a known way, as a convolution
or a recurrent layer does, has a row in ``rules.RULES``: its past becomes state. Anything else is
refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from torch import fx

from edgernn.hoisting.as_it_is import as_it_is
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.stream import Constant, Value


def place_all(
    builder: Builder, rules: Mapping[Any, Callable[..., Value | tuple[Value, ...] | None]]
) -> None:
    """Give every call of the capture its value."""
    for node in builder.capture.nodes:
        if node.op == "get_attr":
            builder.values[node] = Constant(
                node, getattr(builder.capture.graph_module, operator_of(node))
            )
        elif node.op == "call_function":
            _place(builder, node, rules)


def _place(builder: Builder, node: fx.Node, rules: Mapping[Any, Callable[..., Any]]) -> None:
    if operator_of(node) is operator.getitem and operands(node)[0] in builder.parts:
        made = builder.parts[operands(node)[0]][operands(node)[1]]
        if isinstance(made, Constant):
            made = replace(made, node=node)
            if builder.encoded.intersection(node.all_input_nodes):
                builder.encoded.add(node)
        builder.values[node] = made
        return
    taken = [builder.values[n] for n in node.all_input_nodes if n in builder.values]
    if all(isinstance(value, Constant) for value in taken):
        if builder.encoded.intersection(node.all_input_nodes):
            builder.encoded.add(node)
        _constant(builder, node, builder.result(node))
        return
    made = builder.loops.place(builder, node) if builder.loops is not None else None
    rule = rules.get(operator_of(node))
    if made is None and rule is not None:
        made = rule(builder, node)
    if made is None:
        made = as_it_is(builder, node)
    builder.values |= builder.borrowed
    builder.borrowed = {}
    if isinstance(made, tuple):
        builder.parts[node] = made
        builder.values[node] = made[0]
    else:
        builder.values[node] = made


def _constant(builder: Builder, node: fx.Node, result: Any) -> None:
    if isinstance(result, (tuple, list)):
        builder.parts[node] = tuple(Constant(node, one) for one in result)
        builder.values[node] = builder.parts[node][0]
    else:
        builder.values[node] = Constant(node, result)
