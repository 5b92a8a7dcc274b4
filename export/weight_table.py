"""The truth about an ONNX file's weights: read out of the graph that was written, not out of what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import onnx
from onnx import TensorProto, helper

from edgernn.export.quantize import LOOKUP, PRODUCT, layer_name
from edgernn.models.compact import FROM_STATE
from edgernn.stored_weights import OTHERS, StoredWeight

_FLOAT_BYTES = 4
_NAMES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
}
_BYTES: dict[int, int] = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.INT8: 1, TensorProto.UINT8: 1}
_RECURRENT = {"LSTM", "GRU", "RNN"}
_MATRICES = {"MatMul": (1,), "Gemm": (1,), "Conv": (1,), "Gather": (0,), **dict.fromkeys(_RECURRENT, (1, 2))}


def weight_table(model: onnx.ModelProto) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel of ``model`` in the graph's order, and what is left as one last entry."""
    constants = _constants(model)
    found: dict[tuple[str, ...], StoredWeight] = {}
    for index, node in enumerate(model.graph.node):
        if node.domain and node.op_type in {PRODUCT, LOOKUP}:
            stored = (node.input[1 if node.op_type == PRODUCT else 0], node.input[2])
            found.setdefault(stored, _quantised(node, [constants[name] for name in stored]))
            continue
        for names, weight in _float_weights(node, index, constants):
            found.setdefault(names, weight)
    named = {name for names in found for name in names}
    left = [tensor for name, tensor in constants.items() if name not in named]
    rest, halves = sum(map(_size, left)), sum(_size(tensor) for tensor in left if tensor.data_type == TensorProto.FLOAT16)
    others = StoredWeight(OTHERS, (), "float32", rest + halves, rest, rest)
    return (*found.values(), others) if rest else tuple(found.values())


def _constants(model: onnx.ModelProto) -> dict[str, TensorProto]:
    """Return constants by the name under which nodes read them: a stored float16 constant by that of its cast."""
    found = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in found:
            found[node.output[0]] = found.pop(node.input[0])
    return found


def _quantised(node: onnx.NodeProto, stored: list[TensorProto]) -> StoredWeight:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    size = sum(map(_size, stored))
    if node.op_type == PRODUCT:
        shape, touched = (attributes["N"], attributes["K"]), size
    else:
        rows = stored[0].dims[0]
        shape, touched = (rows, stored[0].dims[1] * 8 // attributes["bits"]), size // rows
    name = layer_name(node)
    return StoredWeight(
        name=name,
        shape=shape,
        dtype=f"int{attributes['bits']}",
        float32_bytes=prod(shape) * _FLOAT_BYTES,
        bytes=size,
        touched_bytes=touched,
        recurrent=name.rpartition(".")[2] in FROM_STATE,
        block_size=attributes["block_size"],
    )


def _float_weights(
    node: onnx.NodeProto, index: int, constants: dict[str, TensorProto]
) -> Iterator[tuple[tuple[str, ...], StoredWeight]]:
    name, recurrent = layer_name(node), node.op_type in _RECURRENT
    for place in _MATRICES.get(node.op_type, ()):
        tensor = constants.get(node.input[place])
        if tensor is None or len(tensor.dims) < 2:
            continue
        from_state = (recurrent and place == 2) or name.rpartition(".")[2] in FROM_STATE
        own = f"{name}.{index}.{'from_hidden' if from_state else 'from_input'}" if recurrent else name
        size = _size(tensor)
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        turned = node.op_type in {"MatMul", "Gemm"} and not attributes.get("transB")  # it lies there as [K, N]
        yield (
            (node.input[place],),
            StoredWeight(
                name=own,
                shape=tuple(reversed(tensor.dims) if turned else tensor.dims),
                dtype=_NAMES.get(tensor.data_type, "other"),
                float32_bytes=prod(tensor.dims) * _FLOAT_BYTES,
                bytes=size,
                touched_bytes=size // tensor.dims[0] if node.op_type == "Gather" else size,
                recurrent=from_state,
            ),
        )


def _size(tensor: TensorProto) -> int:
    return int(prod(tensor.dims)) * _BYTES.get(tensor.data_type, 8)
