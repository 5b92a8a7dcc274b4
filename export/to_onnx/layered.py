"""A step graph whose state goes in and out layer by layer: in a loop nothing is cut apart and
joined again at every pass.

A step face takes ``h [L, B, H]``, splits it into layers first and joins the next ones last. Between
two passes of a loop both are work for nothing, so here the two operators are taken out and each
layer is a value of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx

from edgernn.contract import next_name


@dataclass(frozen=True, eq=False)
class Layered:
    """A step graph, and by state the names of its layers as they go in, and as they come out."""

    graph: onnx.GraphProto
    before: dict[str, list[str]]
    after: dict[str, list[str]]


def by_layer(step: onnx.GraphProto, states: Sequence[str]) -> Layered:
    """Return ``step``, which is not changed, with every state of ``states`` that it splits and
    joins layer by layer.
    """
    graph = onnx.GraphProto()
    graph.CopyFrom(step)
    before, after = {}, {}
    for name in states:
        split, join = _split_of(graph, name), _join_of(graph, next_name(name))
        if split is None or join is None or len(split.output) != len(join.input):
            before[name], after[name] = [name], [next_name(name)]
            continue
        before[name], after[name] = list(split.output), list(join.input)
        graph.node.remove(split)
        graph.node.remove(join)
        _replace(graph.input, name, before[name])
        _replace(graph.output, next_name(name), after[name])
    return Layered(graph, before, after)


def _split_of(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """Return the node that splits a state into its layers, where nothing else reads the state."""
    readers = [node for node in graph.node if name in node.input]
    split = (
        readers[0]
        if len(readers) == 1 and readers[0].op_type == "Split" and readers[0].input[0] == name
        else None
    )
    return (
        split
        if split is not None
        and _axis(split) == 0
        and _layers(graph.input, name) == len(split.output)
        else None
    )


def _join_of(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    """Return the node that joins the layers of the next state, each of them made inside the
    graph.
    """
    made = {output for node in graph.node for output in node.output}
    joins = [node for node in graph.node if name in node.output and node.op_type == "Concat"]
    return (
        joins[0]
        if joins and _axis(joins[0]) == 0 and len(set(joins[0].input) & made) == len(joins[0].input)
        else None
    )


def _axis(node: onnx.NodeProto) -> int:
    return next((onnx.helper.get_attribute_value(a) for a in node.attribute if a.name == "axis"), 0)


def _layers(values: Sequence[onnx.ValueInfoProto], name: str) -> int:
    (value,) = (value for value in values if value.name == name)
    return int(value.type.tensor_type.shape.dim[0].dim_value)


def _replace(values: list[onnx.ValueInfoProto], name: str, parts: Sequence[str]) -> None:
    """Put a value for each layer in the place of the value ``name``."""
    at = next(index for index, value in enumerate(values) if value.name == name)
    whole = list(values)
    layers = []
    for part in parts:
        layer = onnx.ValueInfoProto()
        layer.CopyFrom(whole[at])
        layer.name = part
        layer.type.tensor_type.shape.dim[0].Clear()
        layer.type.tensor_type.shape.dim[0].dim_value = 1
        layers.append(layer)
    del values[:]
    values.extend([*whole[:at], *layers, *whole[at + 1 :]])
