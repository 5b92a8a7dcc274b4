"""One-step networks as char-rnn's and neuraltalk2's Lua builds them of nngraph, in tables that
``t7_writer`` writes; only what nngraph keeps of a node is there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from t7_writer import Object, tensor

Node = dict[Any, Any]


class Graph:
    """Nodes in the order in which they are made, which is a topological one."""

    def __init__(self, inputs: int) -> None:
        self.nodes: list[Node] = []
        start = self._node({})
        split = self._node({"nSplitOutputs": inputs}, start)
        self.inputs = [
            self.module("nn.Identity", {}, self._node({"selectindex": n + 1}, split))
            for n in range(inputs)
        ]

    def module(self, name: str, fields: dict[str, Any], *taken: Node) -> Node:
        """Add a node with a module."""
        return self._node({"module": Object(name, fields)}, *taken)

    def linear(self, weight: np.ndarray, bias: np.ndarray, taken: Node) -> Node:
        """Add a linear layer."""
        fields = {"weight": tensor(weight), "bias": tensor(bias), "gradWeight": tensor(weight)}
        return self.module("nn.Linear", fields, taken)

    def split(self, count: int, taken: Node) -> list[Node]:
        """Add the parts of what a node gives."""
        whole = self._node({"nSplitOutputs": count}, taken)
        return [self._node({"selectindex": n + 1}, whole) for n in range(count)]

    def add(self, *taken: Node) -> Node:
        """Add a sum."""
        return self.module("nn.CAddTable", {}, *taken)

    def times(self, *taken: Node) -> Node:
        """Add a product."""
        return self.module("nn.CMulTable", {}, *taken)

    def written(self) -> Object:
        """Return the graph, its nodes in another order that is a topological one, too."""
        nodes = [Object("nngraph.Node", {"data": data, "children": []}) for data in self.nodes]
        return Object("nn.gModule", {"forwardnodes": nodes, "nInputs": len(self.inputs)})

    def _node(self, data: Node, *taken: Node) -> Node:
        data = {**data, "mapindex": list(taken), "annotations": {"_debugLabel": "here"}}
        self.nodes.append(data)
        return data


def one_hot(graph: Graph, size: int) -> Node:
    """Add char-rnn's own module."""
    return graph.module("OneHot", {"depth": size}, graph.inputs[0])


def lstm(graph: Graph, x: Node, layers: list[dict[str, np.ndarray]], dropout: float) -> Node:
    """Add layers of an LSTM; ``w [4H, I]``, ``u [4H, H]``, ``b`` and ``d [4H]``; return the top."""
    for n, layer in enumerate(layers):
        c, h = graph.inputs[2 * n + 1], graph.inputs[2 * n + 2]
        if n and dropout:
            x = graph.module("nn.Dropout", {"p": dropout}, x)
        upper = graph.linear(layer["u"], layer["d"], h)  # another order than Lua's own
        summed = graph.add(graph.linear(layer["w"], layer["b"], x), upper)
        gates = graph.split(4, graph.module("nn.SplitTable", {}, summed))
        i, f, o = (graph.module("nn.Sigmoid", {}, gate) for gate in gates[:3])
        g = graph.module("nn.Tanh", {}, gates[3])
        after = graph.add(graph.times(f, c), graph.times(i, g))
        x = graph.times(o, graph.module("nn.Tanh", {}, after))
    return x


def rnn(graph: Graph, x: Node, layers: list[dict[str, np.ndarray]]) -> Node:
    """Add layers of an RNN."""
    for n, layer in enumerate(layers):
        of_input = graph.linear(layer["w"], layer["b"], x)
        of_state = graph.linear(layer["u"], layer["d"], graph.inputs[n + 1])
        x = graph.module("nn.Tanh", {}, graph.add(of_input, of_state))
    return x


def gru(graph: Graph, x: Node, layers: list[dict[str, np.ndarray]]) -> Node:
    """Add layers of a GRU; the rows of each matrix are z, r, n."""
    for n, layer in enumerate(layers):
        h = graph.inputs[n + 1]
        parts = {key: np.split(array, 3) for key, array in layer.items()}

        def summed(k: int, state: Node, parts: Any = parts, x: Node = x) -> Node:
            of_input = graph.linear(parts["w"][k], parts["b"][k], x)
            of_state = graph.linear(parts["u"][k], parts["d"][k], state)
            return graph.add(of_input, of_state) if k < 2 else graph.add(of_state, of_input)

        z = graph.module("nn.Sigmoid", {}, summed(0, h))
        r = graph.module("nn.Sigmoid", {}, summed(1, h))
        made = graph.module("nn.Tanh", {}, summed(2, graph.times(r, h)))
        other = graph.module("nn.AddConstant", {}, graph.module("nn.MulConstant", {}, z))
        x = graph.add(graph.times(z, made), graph.times(other, h))
    return x
