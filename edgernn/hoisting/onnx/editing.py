"""Changes of an ONNX graph, in place: rename, bind an input, put a branch in place, sweep out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.errors import UsageError
from edgernn.hoisting.onnx.axes import DTYPES, Declared
from edgernn.hoisting.onnx.flow import Flow, reads, subgraphs
from edgernn.hoisting.onnx.names import unlike
from edgernn.wording import did_you_mean

_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no")


def bind(graph: onnx.GraphProto, settings: Mapping[str, str]) -> None:
    """Turn inputs into constants: ``sr`` → ``16000``.

    Raises:
        UsageError: there is no such input, or it does not take that value.
    """
    constants = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in constants}
    for name, text in settings.items():
        if name not in inputs:
            raise UsageError(
                f"--set names {name!r}, which is no input of the file; it has "
                f"{', '.join(inputs) or 'none'}{did_you_mean(name, inputs)}"
            )
        value = inputs[name].type.tensor_type
        dtype = DTYPES.get(value.elem_type, "no number")
        shape = [max(dim.dim_value, 1) for dim in value.shape.dim]
        array = np.full(shape, _number(name, text, dtype), dtype)
        graph.initializer.append(numpy_helper.from_array(array, name))
        graph.input.remove(inputs[name])


def _number(name: str, text: str, dtype: str) -> bool | int | float:
    kinds: dict[str, Callable[[str], bool | int | float]] = {"bool": _bool, "float": float}
    kind = kinds.get(dtype.rstrip("0123456789"), int)
    try:
        return kind(text.strip())
    except ValueError as error:
        raise UsageError(f"--set {name} is {text!r}, expected a value of {dtype}") from error


def _bool(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError(text)
    return text.lower() in _TRUE


def open_inputs(model_proto: onnx.ModelProto, declared: Mapping[str, Declared]) -> None:
    """Declare the inputs as they are known; what the file says of other tensors' shapes goes."""
    for value in model_proto.graph.input:
        if value.name in declared:
            dims = value.type.tensor_type.shape.dim
            value.type.tensor_type.shape.SetInParent()
            del dims[:]
            for axis in declared[value.name].axes:
                dim = dims.add()
                if axis.size is not None:
                    dim.dim_value = axis.size + axis.more
                else:
                    plain = axis.more == 0 and axis.each == 1
                    dim.dim_param = (
                        axis.name if plain else f"{axis.name}_{axis.each}_and_{axis.more}"
                    )
    del model_proto.graph.value_info[:]
    for value in model_proto.graph.output:
        value.type.tensor_type.ClearField("shape")


def rename(node: onnx.NodeProto, mapping: Mapping[str, str]) -> None:
    """Call tensors otherwise that ``node`` and its sub-graphs read or make."""
    for names in (node.input, node.output):
        for place, name in enumerate(names):
            names[place] = mapping.get(name, name)
    for graph in subgraphs(node):
        for inner in graph.node:
            rename(inner, mapping)
        for value in graph.output:
            value.name = mapping.get(value.name, value.name)


def take_branch(graph: onnx.GraphProto, node: onnx.NodeProto, *, then: bool) -> None:
    """Put the chosen branch of an ``If`` in its place."""
    word = "then_branch" if then else "else_branch"
    branch = onnx.GraphProto()
    branch.CopyFrom(next(a.g for a in node.attribute if a.name == word))
    taken = _all_names(graph)
    made = [*(t.name for t in branch.initializer), *_made(branch)]
    outside = {name for name in made if name in taken}
    mapping = dict[str, str]()
    for name in outside:
        mapping[name] = unlike(f"{node.output[0]}_{name}", taken | {*mapping.values(), *made})
    for tensor in branch.initializer:
        tensor.name = mapping.get(tensor.name, tensor.name)
    for inner in branch.node:
        rename(inner, mapping)
    ends = [
        helper.make_node("Identity", [mapping.get(value.name, value.name)], [name])
        for value, name in zip(branch.output, node.output, strict=True)
        if name
    ]
    at = list(graph.node).index(node)
    nodes = [*graph.node[:at], *branch.node, *ends, *graph.node[at + 1 :]]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(branch.initializer)


def _made(graph: onnx.GraphProto) -> set[str]:
    """Return every tensor that ``graph`` makes, in its sub-graphs, too."""
    found = set[str]()
    for node in graph.node:
        found.update(filter(None, node.output))
        for inner in subgraphs(node):
            found |= _made(inner) | {tensor.name for tensor in inner.initializer}
    return found


def _all_names(graph: onnx.GraphProto) -> set[str]:
    own = {v.name for v in (*graph.input, *graph.output)} | {t.name for t in graph.initializer}
    outer = set[str]()
    for node in graph.node:
        outer.update(filter(None, (*node.input, *node.output)))
    return own | outer


def freeze(graph: onnx.GraphProto, values: Mapping[str, np.ndarray]) -> None:
    """Make constants of tensors that are known."""
    nodes = []
    for node in graph.node:
        kept = [name for name in node.output if name and name not in values]
        if kept:
            for place, name in enumerate(node.output):
                node.output[place] = unlike(f"{name}_unread", values) if name in values else name
            nodes.append(node)
    _replace(graph.node, nodes)
    for name, array in values.items():
        graph.initializer.append(numpy_helper.from_array(np.array(array, order="C"), name))


def sweep(graph: onnx.GraphProto) -> None:
    """Take out copies, nodes whose result nobody reads, and constants that nobody reads."""
    _drop_copies(graph)
    wanted, kept = {value.name for value in graph.output}, list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if any(name in wanted for name in node.output):
            wanted.update(reads(node))
            kept.insert(0, node)
    _replace(graph.node, kept)
    _replace(graph.initializer, [t for t in graph.initializer if t.name in wanted])
    own = {tensor.name for tensor in graph.initializer}
    _replace(graph.input, [value for value in graph.input if value.name not in own])


def _replace(field: list, kept: list) -> None:
    copies = list(kept)
    del field[:]
    field.extend(copies)


def _drop_copies(graph: onnx.GraphProto) -> None:
    outputs, mapping = {value.name for value in graph.output}, dict[str, str]()
    kept = []
    for node in graph.node:
        rename(node, mapping)
        if node.op_type in {"Identity", "Dropout"} and len([*filter(None, node.output)]) == 1:
            if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
                kept.append(node)
            elif node.output[0] not in outputs:
                mapping[node.output[0]] = node.input[0]
            else:
                copy = helper.make_node("Identity", [node.input[0]], [node.output[0]])
                kept.append(copy)
        else:
            kept.append(node)
    _replace(graph.node, kept)


def hoist_constants(graph: onnx.GraphProto) -> None:
    """Make initializers of the ``Constant`` nodes that hold a tensor."""
    kept = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(value)
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
        else:
            kept.append(node)
    _replace(graph.node, kept)


def makers(graph: onnx.GraphProto) -> Mapping[str, onnx.NodeProto]:
    """Return tensor → the node that makes it."""
    return Flow(graph).makers
