"""What a graph of fixed sizes calculates of constants and shapes, calculated while exporting."""

from __future__ import annotations

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from edgernn.contract import first_line
from edgernn.errors import ContractError

Shapes = dict[str, tuple[int, ...]]
_MOST_ELEMENTS = 1 << 20  # of the constants that an operator reads
_STANDARD = ("", "ai.onnx")


def fold(model_proto: onnx.ModelProto) -> Shapes:
    """Put constants where operators read constants or shapes alone, in place; return name → shape
    of every value whose sizes are then known.

    Raises:
        ContractError: one of them cannot be calculated; names it.
    """
    while True:
        shapes = _shapes(model_proto)
        if not _fold_once(model_proto, shapes):
            return shapes


def _fold_once(model_proto: onnx.ModelProto, shapes: Shapes) -> bool:
    graph = model_proto.graph
    known = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept, made = [], []
    for node in graph.node:
        found = _results(node, known, shapes, model_proto)
        if found is None:
            kept.append(node)
            continue
        known |= found
        made += [onnx.numpy_helper.from_array(array, name) for name, array in found.items()]
    if not made:
        return False
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)
    return True


def _results(
    node: onnx.NodeProto,
    known: dict[str, np.ndarray],
    shapes: Shapes,
    model_proto: onnx.ModelProto,
) -> dict[str, np.ndarray] | None:
    """Return what an operator makes; None where that depends on what goes in."""
    if node.domain not in _STANDARD or any(a.HasField("g") for a in node.attribute):
        return None
    if node.op_type == "Shape" and node.input[0] in shapes:
        given = {a.name: a.i for a in node.attribute}
        whole = slice(given.get("start", 0), given.get("end"))
        return {node.output[0]: np.array(shapes[node.input[0]][whole], np.int64)}
    feeds = {name: known[name] for name in node.input if name in known}
    if len(feeds) < len({name for name in node.input if name}):
        return None
    if sum(array.size for array in feeds.values()) > _MOST_ELEMENTS:
        return None
    try:
        results = ReferenceEvaluator(_alone(node, model_proto)).run(None, feeds)
    except (ValueError, TypeError, RuntimeError, NotImplementedError, KeyError) as error:
        raise ContractError(
            f"{node.op_type} ({node.name}) of constants cannot be calculated: {first_line(error)}"
        ) from error
    return {
        name: np.asarray(array) for name, array in zip(node.output, results, strict=True) if name
    }


def _alone(node: onnx.NodeProto, model_proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model of one operator."""
    empty = onnx.TypeProto()
    names = dict.fromkeys(name for name in node.input if name)
    graph = onnx.helper.make_graph(
        [node],
        "one",
        [onnx.helper.make_value_info(name, empty) for name in names],
        [onnx.helper.make_value_info(name, empty) for name in node.output],
    )
    return onnx.helper.make_model(graph, opset_imports=list(model_proto.opset_import))


def _shapes(model_proto: onnx.ModelProto) -> Shapes:
    inferred = onnx.shape_inference.infer_shapes(model_proto, data_prop=True).graph
    found = {tensor.name: tuple(tensor.dims) for tensor in inferred.initializer}
    for value in (*inferred.value_info, *inferred.output, *inferred.input):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            found[value.name] = tuple(int(size.dim_value) for size in kind.shape.dim)
    return found
