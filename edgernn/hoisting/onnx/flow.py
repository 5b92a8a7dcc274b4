"""Who makes and who reads each tensor of an ONNX graph, and what depends on what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import onnx
from onnx import helper

RECURRENT = frozenset(("LSTM", "GRU", "RNN"))
SIZES = frozenset(("Shape", "Size"))  # what they give depends on no value
# What only moves elements: a state goes through these unchanged.
VIEWS = frozenset(
    (
        *("Identity", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Gather"),
        *("Concat", "Cast", "Expand", "Flatten", "Tile", "ScatterND", "Pad"),
    )
)


class Flow:
    """The edges of one graph; sub-graphs count as read by the node that holds them."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.inputs = [v.name for v in graph.input if v.name not in self.constants]
        self.outputs = [value.name for value in graph.output]
        self.makers: dict[str, onnx.NodeProto] = {}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.output:
                if name:
                    self.makers[name] = node
            for name in reads(node):
                self.readers.setdefault(name, []).append(node)

    @cached_property
    def from_data(self) -> frozenset[str]:
        """The tensors whose values depend on the values of an input, not on its sizes alone."""
        found = set(self.inputs)
        for node in self.graph.node:
            if node.op_type not in SIZES and any(name in found for name in reads(node)):
                found.update(filter(None, node.output))
        return frozenset(found)

    @cached_property
    def sources(self) -> dict[str, frozenset[str]]:
        """Tensor → the inputs on whose values it depends."""
        found = {name: frozenset((name,)) for name in self.inputs}
        for node in self.graph.node:
            if node.op_type in SIZES:
                continue
            whole = frozenset().union(*(found.get(name, frozenset()) for name in reads(node)))
            for name in filter(None, node.output):
                found[name] = whole
        return found

    def moved_from(self, name: str) -> set[str]:
        """Return the tensors whose elements ``name`` holds, moved and no more, itself included."""
        seen, pending = set[str](), [name]
        while pending:
            if (at := pending.pop()) in seen:
                continue
            seen.add(at)
            node = self.makers.get(at)
            if node is not None and node.op_type in VIEWS:
                pending += moved_inputs(node)
        return seen

    def moved_to(self, name: str) -> set[str]:
        """Return the tensors that hold elements of ``name``, moved and no more, itself included."""
        seen, pending = set[str](), [name]
        while pending:
            if (at := pending.pop()) in seen:
                continue
            seen.add(at)
            for node in self.readers.get(at, []):
                if node.op_type in VIEWS and at in moved_inputs(node):
                    pending += filter(None, node.output)
        return seen


def reads(node: onnx.NodeProto) -> list[str]:
    """Return every tensor that ``node`` reads, from inside its sub-graphs, too."""
    return [*filter(None, node.input), *inner_reads(node)]


def inner_reads(node: onnx.NodeProto) -> Iterator[str]:
    """Yield what the sub-graphs of ``node`` read of the graph around them."""
    for graph in subgraphs(node):
        own = {v.name for v in graph.input} | {t.name for t in graph.initializer}
        for inner in graph.node:
            yield from (name for name in reads(inner) if name not in own)
            own.update(inner.output)
        yield from (value.name for value in graph.output if value.name not in own)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Yield the sub-graphs of a branch or a loop."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def moved_inputs(node: onnx.NodeProto) -> list[str]:
    """Return the inputs of an operator that moves elements which hold these elements."""
    if node.op_type == "ScatterND":
        return [node.input[0], node.input[2]]
    return list(node.input) if node.op_type == "Concat" else list(node.input[:1])


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Return an attribute's value; texts as str."""
    for found in node.attribute:
        if found.name == name:
            value = helper.get_attribute_value(found)
            return value.decode() if isinstance(value, bytes) else value
    return default


def shown(node: onnx.NodeProto) -> str:
    """Return a node in words: its operator and its name, or what it makes."""
    return f"{node.op_type} ({node.name or next(filter(None, node.output), '')})"


def ordered_unique(names: Iterable[str]) -> list[str]:
    """Return ``names`` once each, in the order in which they first come."""
    return list(dict.fromkeys(names))
