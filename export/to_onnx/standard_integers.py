"""8-bit weights by ONNX's own operators alone, for runtimes without onnxruntime's.

Each row of a matrix ``[N, K]`` has one scale. A product is ``DynamicQuantizeLinear`` of what comes
in and ``MatMulInteger``, whose sums are exact, so that every runtime gives the same; a look-up
takes a row of integers and its scale. Integers lie as unsigned bytes with 128 for 0: products of
unsigned with signed bytes overflow their 16-bit sums on x86 processors without VNNI.

One scale stands for all that comes into a product, so a file takes one row a call.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgernn.errors import UsageError
from edgernn.export.rounding.blocks import round_rows
from edgernn.export.to_onnx.quantize import (
    constant_matrix,
    constant_table,
    drop_unused_constants,
    layer_name,
    store_integers,
)
from edgernn.parity.structure.stored_onnx import RECURRENT

_ZERO = "integers.zero"  # the name of the byte that stands for 0
_PLACE = "integers.last_axis"
_MIDDLE = 128


def round_to_standard(model_proto: onnx.ModelProto) -> None:
    """Replace every product with a constant matrix and every look-up in a constant table of
    ``model_proto``, in place.

    Raises:
        UsageError: a weight is not finite, or a recurrent operator is there, whose weights would
            stay as they are.
    """
    kept = sorted({node.op_type for node in model_proto.graph.node} & RECURRENT)
    if kept:
        raise UsageError(
            f"the graph has {', '.join(kept)}, whose weights would stay float32; round the step "
            "face"
        )
    constants = {tensor.name: tensor for tensor in model_proto.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model_proto.graph.node:
        matrix, table = constant_matrix(node, constants), constant_table(node, constants)
        if matrix is not None:
            nodes += _product(model_proto, node, matrix)
        elif table is not None:
            nodes += _lookup(model_proto, node, table)
        else:
            nodes.append(node)
    model_proto.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(_MIDDLE, np.uint8), _ZERO),
            numpy_helper.from_array(np.array([-1], np.int64), _PLACE),
        ]
    )
    del model_proto.graph.node[:]
    model_proto.graph.node.extend(nodes)
    drop_unused_constants(model_proto)


def _product(
    model_proto: onnx.ModelProto, node: onnx.NodeProto, matrix: np.ndarray
) -> list[onnx.NodeProto]:
    """Return the operators of ``x · matrix.T``, and of the bias where ``node`` has one."""
    integers, scales = _stored(model_proto, node, matrix, turned=True)
    made, (given, bias) = node.output[0], (node.input[0], node.input[2:3])
    x, scale, zero, sums, floats, both = (
        f"{made}.{part}" for part in ("bytes", "scale", "zero", "sums", "floats", "scales")
    )
    product = f"{made}.product" if bias else made
    nodes = [
        helper.make_node("DynamicQuantizeLinear", [given], [x, scale, zero], name=x),
        helper.make_node("MatMulInteger", [x, integers, zero, _ZERO], [sums], name=node.name),
        helper.make_node("Cast", [sums], [floats], name=floats, to=TensorProto.FLOAT),
        helper.make_node("Mul", [scale, scales], [both], name=both),
        helper.make_node("Mul", [floats, both], [product], name=product),
    ]
    if bias:
        nodes.append(helper.make_node("Add", [product, bias[0]], [made], name=f"{made}.biased"))
    return nodes


def _lookup(
    model_proto: onnx.ModelProto, node: onnx.NodeProto, table: np.ndarray
) -> list[onnx.NodeProto]:
    """Return the operators that take rows of ``table``."""
    integers, scales = _stored(model_proto, node, table, turned=False)
    made, ids = node.output[0], node.input[1]
    rows, floats, centred, scale, column, zero = (
        f"{made}.{part}" for part in ("bytes", "floats", "centred", "scale", "column", "zero")
    )
    return [
        helper.make_node("Gather", [integers, ids], [rows], name=node.name),
        helper.make_node("Cast", [rows], [floats], name=floats, to=TensorProto.FLOAT),
        helper.make_node("Cast", [_ZERO], [zero], name=zero, to=TensorProto.FLOAT),
        helper.make_node("Sub", [floats, zero], [centred], name=centred),
        helper.make_node("Gather", [scales, ids], [scale], name=scale),
        helper.make_node("Unsqueeze", [scale, _PLACE], [column], name=column),
        helper.make_node("Mul", [centred, column], [made], name=made),
    ]


def _stored(
    model_proto: onnx.ModelProto, node: onnx.NodeProto, matrix: np.ndarray, *, turned: bool
) -> tuple[str, str]:
    """Store the integers of ``matrix`` and the scales of its rows; return their names."""
    integers, scales = round_rows(matrix)
    unsigned = (integers.astype(np.int16) + _MIDDLE).astype(np.uint8)
    return store_integers(model_proto, layer_name(node), unsigned.T if turned else unsigned, scales)
