"""The step face of a step graph: recurrent layers as products and gates, one frame a call.

Formats without recurrent operators take it, and integers: a product with a matrix is what they have
kernels for. Equations and the order of the gates are those of torch.nn.LSTM, GRU and RNN.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.passes.shape_prop import ShapeProp

from edgernn.hoisting.nodes import operands, operator_of
from edgernn.hoisting.products import name_products

_aten = torch.ops.aten
_Write = Callable[..., fx.Node]


def step_face(step: fx.GraphModule, examples: Sequence[Tensor]) -> fx.GraphModule:
    """Return a copy of a step whose recurrent layers over a single frame are products and gates.

    Args:
        step: left as it is.
        examples: its inputs, one frame of each.
    """
    made = fx.GraphModule(step, _copy(step.graph)).eval()
    with torch.no_grad():
        ShapeProp(made).propagate(*examples)
    for node in list(made.graph.nodes):
        if operator_of(node) in _LAYERS and _one_frame(node):
            _replace(made.graph, node)
        elif operator_of(node) in _CELLS:
            _replace_cell(made.graph, node)
    name_products(made)
    return made


def has_layers(step: fx.GraphModule) -> bool:
    """Whether a step has a recurrent layer or cell of torch as one operator."""
    return any(operator_of(node) in {*_LAYERS, *_CELLS} for node in step.graph.nodes)


def _copy(graph: fx.Graph) -> fx.Graph:
    copied = fx.Graph()
    values: dict[fx.Node, fx.Node] = {}
    copied.output(copied.graph_copy(graph, values))
    return copied


def _one_frame(node: fx.Node) -> bool:
    shape, batch_first, bidirectional = (
        _shape(operands(node)[0]),
        operands(node)[8],
        operands(node)[7],
    )
    return shape[_time(shape, batch_first)] == 1 and not bidirectional


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(node.meta["tensor_meta"].shape)


def _time(shape: tuple[int, ...], batch_first: Any) -> int:
    return 1 if batch_first and len(shape) == 3 else 0


def _replace(graph: fx.Graph, node: fx.Node) -> None:
    inputs, held, weights, has_biases, layers = operands(node)[:5]
    state = list(held) if isinstance(held, (list, tuple)) else [held]
    shape = _shape(inputs)
    time = _time(shape, operands(node)[8])

    with graph.inserting_before(node):

        def write(target: Any, *args: Any) -> fx.Node:
            return graph.call_function(target, args)

        row = write(_aten.select.int, inputs, time, 0)  # [B, I]
        per = len(weights) // layers
        afters: list[list[fx.Node]] = [[] for _ in state]
        for layer in range(layers):
            own = list(weights[layer * per : (layer + 1) * per])
            w_ih, w_hh = own[:2]
            b_ih, b_hh = own[2:4] if has_biases else (None, None)
            before = [write(_aten.select.int, s, 0, layer) for s in state]  # [B, H]
            from_input = write(_aten.linear.default, row, w_ih, b_ih)  # [B, G·H]
            from_state = write(_aten.linear.default, before[0], w_hh, b_hh)  # [B, G·H]
            after = _LAYERS[operator_of(node)](write, from_input, from_state, before)
            if operator_of(node) is _aten.lstm.input and per == (5 if has_biases else 3):
                after[0] = write(_aten.linear.default, after[0], own[-1], None)  # [B, P]
            row = after[0]
            for kept, one in zip(afters, after, strict=True):
                kept.append(one)
        output = write(_aten.unsqueeze.default, row, time)
        nexts = [write(_aten.stack.default, kept, 0) for kept in afters]  # [L, B, H]
    _put_in_place_of(graph, node, [output, *nexts])


def _replace_cell(graph: fx.Graph, node: fx.Node) -> None:
    inputs, held, w_ih, w_hh, *biases = operands(node)
    before = list(held) if isinstance(held, (list, tuple)) else [held]
    b_ih, b_hh = (*biases, None, None)[:2]
    with graph.inserting_before(node):

        def write(target: Any, *args: Any) -> fx.Node:
            return graph.call_function(target, args)

        from_input = write(_aten.linear.default, inputs, w_ih, b_ih)  # [B, G·H]
        from_state = write(_aten.linear.default, before[0], w_hh, b_hh)  # [B, G·H]
        after = _CELLS[operator_of(node)](write, from_input, from_state, before)
    if len(after) == 1:
        node.replace_all_uses_with(after[0])
        graph.erase_node(node)
    else:
        _put_in_place_of(graph, node, after)


def _put_in_place_of(graph: fx.Graph, node: fx.Node, made: Sequence[fx.Node]) -> None:
    """Let what reads a result of ``node`` read it from ``made``, and take the node out: a layer
    counts as random by its dropout, so that no cleaning would, and its weights would stay.
    """
    for user in list(node.users):
        assert operator_of(user) is operator.getitem
        user.replace_all_uses_with(made[operands(user)[1]])
        graph.erase_node(user)
    graph.erase_node(node)


def has_projection(step: fx.GraphModule) -> bool:
    """Whether a recurrent layer of a step gives a projection of its hidden state."""
    return any(
        operator_of(node) is _aten.lstm.input
        and len(operands(node)[2]) == operands(node)[4] * (5 if operands(node)[3] else 3)
        for node in step.graph.nodes
    )


def _gates(write: _Write, node: fx.Node, count: int) -> list[fx.Node]:
    parts = write(_aten.chunk.default, node, count, -1)
    return [write(operator.getitem, parts, at) for at in range(count)]


def _lstm(write: _Write, x: fx.Node, h: fx.Node, before: Sequence[fx.Node]) -> list[fx.Node]:
    i, f, g, o = _gates(write, write(_aten.add.Tensor, x, h), 4)
    i, f, o = (write(_aten.sigmoid.default, gate) for gate in (i, f, o))
    kept = write(_aten.mul.Tensor, f, before[1])
    cell = write(_aten.add.Tensor, kept, write(_aten.mul.Tensor, i, write(_aten.tanh.default, g)))
    return [write(_aten.mul.Tensor, o, write(_aten.tanh.default, cell)), cell]


def _gru(write: _Write, x: fx.Node, h: fx.Node, before: Sequence[fx.Node]) -> list[fx.Node]:
    (r, z, n), (hr, hz, hn) = _gates(write, x, 3), _gates(write, h, 3)
    r = write(_aten.sigmoid.default, write(_aten.add.Tensor, r, hr))
    z = write(_aten.sigmoid.default, write(_aten.add.Tensor, z, hz))
    n = write(_aten.tanh.default, write(_aten.add.Tensor, n, write(_aten.mul.Tensor, r, hn)))
    moved = write(_aten.mul.Tensor, z, write(_aten.sub.Tensor, before[0], n))
    return [write(_aten.add.Tensor, n, moved)]  # (1 - z) n + z h


def _rnn(activation: Any) -> Callable[..., list[fx.Node]]:
    def step(write: _Write, x: fx.Node, h: fx.Node, before: Sequence[fx.Node]) -> list[fx.Node]:
        return [write(activation, write(_aten.add.Tensor, x, h))]

    return step


_LAYERS: dict[Any, Callable[..., list[fx.Node]]] = {
    _aten.lstm.input: _lstm,
    _aten.gru.input: _gru,
    _aten.rnn_tanh.input: _rnn(_aten.tanh.default),
    _aten.rnn_relu.input: _rnn(_aten.relu.default),
}
_CELLS: dict[Any, Callable[..., list[fx.Node]]] = {
    _aten.lstm_cell.default: _lstm,
    _aten.gru_cell.default: _gru,
    _aten.rnn_tanh_cell.default: _rnn(_aten.tanh.default),
    _aten.rnn_relu_cell.default: _rnn(_aten.relu.default),
}
