"""The last touches of a step graph: what never changes is computed once, inputs in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    _fold(graph, held)
    _let_sizes_be_traced(graph)
    for node in reversed(list(graph.nodes)):
        if node.op not in ("placeholder", "output") and not node.users:
            graph.erase_node(node)
    follow_sizes(graph)
    graph.lint()
    used = {str(operator_of(node)) for node in graph.nodes if node.op == "get_attr"}
    module = fx.GraphModule({name: held[name] for name in sorted(used)}, graph)
    return module.eval()


def _sliced(
    tensor: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    index = [slice(None)] * tensor.dim()
    index[dim] = slice(start, end, step)
    return tensor[tuple(index)]


def _let_sizes_be_traced(graph: fx.Graph) -> None:
    """Call by its Python face what takes a size that is read from an input: torch's tracer follows
    sizes into those faces alone, and makes numbers of them elsewhere.
    """
    for node in list(graph.nodes):
        face = _FACES.get(operator_of(node))
        sizes = [part for value in node.args[1:] for part in _parts(value)]
        if face is None or not any(isinstance(part, fx.Node) for part in sizes + _made(node)):
            continue
        node.op, node.target = face


def _made(node: fx.Node) -> list[Any]:
    """Return the sizes of a tensor that is made of nothing else."""
    return _parts(node.args[0]) if node.args and not isinstance(node.args[0], fx.Node) else []


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


_aten = torch.ops.aten
_FACES: dict[Any, tuple[str, Any]] = {
    _aten.view.default: ("call_method", "reshape"),
    _aten.reshape.default: ("call_method", "reshape"),
    _aten.expand.default: ("call_method", "expand"),
    _aten.full.default: ("call_function", torch.full),
    _aten.zeros.default: ("call_function", torch.zeros),
    _aten.ones.default: ("call_function", torch.ones),
    _aten.arange.default: ("call_function", torch.arange),
    _aten.arange.start: ("call_function", torch.arange),
    _aten.repeat.default: ("call_method", "repeat"),
    _aten.slice.Tensor: ("call_function", _sliced),
}


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
