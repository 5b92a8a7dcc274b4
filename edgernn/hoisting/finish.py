"""The last touches of a step graph: what never changes is computed once, inputs in their order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from edgernn.hoisting.nodes import operator_of, run
from edgernn.hoisting.traceable import follow_sizes


def finish(
    weights: nn.Module, graph: fx.Graph, inputs: Sequence[fx.Node], outputs: Sequence[fx.Node]
) -> fx.GraphModule:
    """Return the module of a graph with ``inputs`` as its arguments in that order.

    What is computed of weights alone is computed now; ``weights`` holds them by the names that the
    graph has for them, and is left as it is.
    """
    graph.output(tuple(outputs))
    _in_order(graph, inputs)
    held = {name: tensor.detach() for name, tensor in weights.named_buffers()}
    _leave_out_dropout(graph)
    _fold(graph, held)
    for node in reversed(list(graph.nodes)):
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)
    follow_sizes(graph)
    graph.lint()
    used = {str(operator_of(node)) for node in graph.nodes if node.op == "get_attr"}
    module = fx.GraphModule({name: held[name] for name in sorted(used)}, graph)
    return module.eval()


def _leave_out_dropout(graph: fx.Graph) -> None:
    """Take what evaluation mode does nothing in out of the way."""
    for node in graph.nodes:
        if operator_of(node) is torch.ops.aten.dropout.default and not node.args[2]:
            node.replace_all_uses_with(node.args[0])


def _in_order(graph: fx.Graph, inputs: Sequence[fx.Node]) -> None:
    first = next(iter(graph.nodes))
    for node in inputs:
        if node is not first:
            first.prepend(node)
    if first in inputs:  # everything was put before it; it goes to its own place
        place = list(inputs).index(first)
        if place:
            inputs[place - 1].append(first)
        else:
            next(iter(graph.nodes)).prepend(first)


def _fold(graph: fx.Graph, held: dict[str, Tensor]) -> None:
    """Compute what hangs on weights alone, where it is no larger than what it is made of."""
    values: dict[fx.Node, Tensor] = {}
    for node in graph.nodes:
        if node.op == "get_attr":
            values[node] = held[str(operator_of(node))]
        elif (
            node.op == "call_function"
            and node.all_input_nodes
            and all(operand in values for operand in node.all_input_nodes)
            and isinstance(made := run(node, values.__getitem__), Tensor)
        ):
            values[node] = made
    for node, made in values.items():
        if node.op == "get_attr" or all(user in values for user in node.users):
            continue
        name = f"folded_{len(held)}"
        held[name] = made.contiguous()
        with graph.inserting_before(node):
            constant = graph.get_attr(name)
        node.replace_all_uses_with(constant)
