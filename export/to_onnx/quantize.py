"""Weight-only quantisation of an ONNX graph: constant matrices and tables in blocks of 8 or 4 bits.

``Gemm`` and ``MatMul`` with a constant matrix become onnxruntime's ``MatMulNBits``, which
multiplies with integer products where the processor has them; a ``Gather`` from a constant table
becomes ``GatherBlockQuantized``. Both work for every cell once the graph is a step face: recurrent
operators have no matrix that could be replaced, and onnxruntime's own dynamic quantiser leaves
those of GRU and RNN in float32 without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgernn.errors import UsageError
from edgernn.export.rounding.blocks import Blocks, few_valued, quantize_matrix
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.parity.structure.stored_onnx import RECURRENT

DOMAIN = "com.microsoft"
PRODUCT, LOOKUP = "MatMulNBits", "GatherBlockQuantized"
_INTEGER_PRODUCTS = 4  # the accuracy level that rounds activations to 8 bits, block by block
NEAREST_BITS = 8  # from here on rounding to the nearest is as good as any
Rounded = dict[tuple[str, Rounding], Blocks]  # by the name of the constant


def layer_name(node: onnx.NodeProto) -> str:
    """Return the layer of the model that a node was traced from, with dots: ``/model/head/MatMul``
    is ``head``.
    """
    parts = [part for part in node.name.split("/")[1:-1] if part != "model"]
    return ".".join(parts) or node.name


def quantize_graph(
    model_proto: onnx.ModelProto, recipe: Recipe, *, rounded: Rounded | None = None
) -> None:
    """Replace every product with a constant matrix and every look-up in a constant table of
    ``model_proto``, in place.

    ``rounded`` remembers what was rounded, so that a search rounds each layer once in each way.

    Raises:
        UsageError: a weight is not finite, or a recurrent operator is there, whose weights would
            stay as they are.
    """
    kept = sorted({node.op_type for node in model_proto.graph.node} & RECURRENT)
    if kept:
        raise UsageError(
            f"the graph has {', '.join(kept)}, whose weights would stay float32; quantise the "
            "step face"
        )
    constants = {tensor.name: tensor for tensor in model_proto.graph.initializer}
    biases = _biases(model_proto, constants)
    rounded = {} if rounded is None else rounded
    nodes: list[onnx.NodeProto] = []
    for node in model_proto.graph.node:
        if node.output[0] in {bias.sum for bias in biases.values()}:
            continue  # the product before it adds the bias
        matrix, table = constant_matrix(node, constants), constant_table(node, constants)
        if matrix is not None:
            nodes.append(
                _product(model_proto, node, matrix, recipe, rounded, biases.get(node.output[0]))
            )
        elif table is not None:
            nodes.append(_lookup(model_proto, node, table, recipe, rounded))
        else:
            nodes.append(node)
    del model_proto.graph.node[:]
    model_proto.graph.node.extend(nodes)
    drop_unused_constants(model_proto)
    model_proto.opset_import.append(helper.make_opsetid(DOMAIN, 1))


def drop_unused_constants(model_proto: onnx.ModelProto) -> None:
    """Take out the constants that no node reads any more."""
    read = {name for node in model_proto.graph.node for name in node.input} | {
        output.name for output in model_proto.graph.output
    }
    kept = [tensor for tensor in model_proto.graph.initializer if tensor.name in read]
    del model_proto.graph.initializer[:]
    model_proto.graph.initializer.extend(kept)


def products(model_proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes of ``model_proto`` that multiply with a constant float32 matrix."""
    constants = {tensor.name: tensor for tensor in model_proto.graph.initializer}
    return [node for node in model_proto.graph.node if constant_matrix(node, constants) is not None]


def lookups(model_proto: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the nodes of ``model_proto`` that take rows of a constant float32 table."""
    constants = {tensor.name: tensor for tensor in model_proto.graph.initializer}
    return [node for node in model_proto.graph.node if constant_table(node, constants) is not None]


@dataclass(frozen=True)
class _Bias:
    """A constant that is added to a product: its name, and that of the sum."""

    constant: str
    sum: str


def _biases(
    model_proto: onnx.ModelProto, constants: Mapping[str, onnx.TensorProto]
) -> dict[str, _Bias]:
    """Return by product the vector that is added to it, where nothing else reads the product."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model_proto.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in model_proto.graph.output}
    found: dict[str, _Bias] = {}
    for node in model_proto.graph.node:
        if constant_matrix(node, constants) is None:
            continue
        made, following = node.output[0], readers.get(node.output[0], [])
        if len(node.input) > 2:
            found[made] = _Bias(node.input[2], "")
        elif len(following) == 1 and following[0].op_type == "Add" and made not in outputs:
            added = next(name for name in following[0].input if name != made)
            if added in constants and len(constants[added].dims) == 1:
                found[made] = _Bias(added, following[0].output[0])
    return found


def constant_matrix(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> np.ndarray | None:
    """Return the constant matrix of a product as ``[N, K]``, or None where the node is no such
    product.
    """
    if node.op_type not in {"Gemm", "MatMul"} or node.input[1] not in constants:
        return None
    matrix = numpy_helper.to_array(constants[node.input[1]])
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if (
        matrix.ndim != 2
        or matrix.dtype != np.float32
        or attributes.get("transA")
        or attributes.get("alpha", 1) != 1
    ):
        return None
    return matrix if attributes.get("transB") else np.ascontiguousarray(matrix.T)


def constant_table(
    node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]
) -> np.ndarray | None:
    """Return the constant table ``[V, E]`` of a look-up, or None where the node is none."""
    if node.op_type != "Gather" or node.input[0] not in constants:
        return None
    table = numpy_helper.to_array(constants[node.input[0]])
    axis = next((helper.get_attribute_value(a) for a in node.attribute if a.name == "axis"), 0)
    return table if table.ndim == 2 and table.dtype == np.float32 and axis == 0 else None


def _product(
    model_proto: onnx.ModelProto,
    node: onnx.NodeProto,
    matrix: np.ndarray,
    recipe: Recipe,
    rounded: Rounded,
    bias: _Bias | None,
) -> onnx.NodeProto:
    layer = layer_name(node)
    rounding = recipe.rounding(layer, matrix.shape[1], rows=len(matrix))
    hessian = recipe.hessians.get(layer) if rounding.bits < NEAREST_BITS else None
    blocks = few_valued(matrix) if layer in recipe.few else None
    blocks = blocks or _blocks(node.input[1], matrix, rounding, rounded, hessian)
    integers, scales = store_integers(
        model_proto, layer, blocks.packed(), blocks.scales.reshape(-1)
    )
    return helper.make_node(
        PRODUCT,
        [node.input[0], integers, scales, *(("", "", bias.constant) if bias else ())],
        [bias.sum if bias and bias.sum else node.output[0]],
        name=node.name,
        domain=DOMAIN,
        K=matrix.shape[1],
        N=matrix.shape[0],
        bits=blocks.bits,
        block_size=blocks.block_size,
        accuracy_level=_INTEGER_PRODUCTS,
    )


def _lookup(
    model_proto: onnx.ModelProto,
    node: onnx.NodeProto,
    table: np.ndarray,
    recipe: Recipe,
    rounded: Rounded,
) -> onnx.NodeProto:
    layer = layer_name(node)
    rounding = recipe.rounding(layer, table.shape[1], rows=len(table))
    if (
        table.shape[1] % 2
    ):  # two 4-bit values share a byte: onnxruntime would give rows of one value more
        rounding = Rounding(8, rounding.block_size)
    blocks = _blocks(node.input[0], table, rounding, rounded, None)
    rows = len(table)
    packed = blocks.packed().reshape(rows, -1)[:, : -(-table.shape[1] * rounding.bits // 8)]
    integers, scales = store_integers(model_proto, layer, packed, blocks.scales)
    return helper.make_node(
        LOOKUP,
        [integers, node.input[1], scales],
        list(node.output),
        name=node.name,
        domain=DOMAIN,
        bits=rounding.bits,
        block_size=rounding.block_size,
        gather_axis=0,
        quantize_axis=1,
    )


def _blocks(
    name: str, matrix: np.ndarray, rounding: Rounding, rounded: Rounded, hessian: np.ndarray | None
) -> Blocks:
    key = (name, rounding)
    if key not in rounded:
        rounded[key] = quantize_matrix(
            matrix, bits=rounding.bits, block_size=rounding.block_size, hessian=hessian
        )
    return rounded[key]


def store_integers(
    model_proto: onnx.ModelProto, layer: str, integers: np.ndarray, scales: np.ndarray
) -> tuple[str, str]:
    """Store both under the layer's name, once each; a second matrix of the layer gets a number."""
    stored, number = {tensor.name: tensor for tensor in model_proto.graph.initializer}, 0
    while (names := _stored_names(layer, number))[0] in stored:
        if all(
            np.array_equal(numpy_helper.to_array(stored[n]), a)
            for n, a in zip(names, (integers, scales), strict=True)
        ):
            return names
        number += 1
    for name, values in zip(names, (integers, scales), strict=True):
        model_proto.graph.initializer.append(
            numpy_helper.from_array(np.ascontiguousarray(values), name)
        )
    return names


def _stored_names(layer: str, number: int) -> tuple[str, str]:
    mark = f".{number}" if number else ""
    return f"{layer}{mark}.integers", f"{layer}{mark}.scales"
