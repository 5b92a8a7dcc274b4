"""Matrices of a model of OpenVINO in blocks of 8 or 4 bits, as the runtime multiplies with them
without unpacking::

    integers [N, blocks, size] → convert → times scales [N, blocks, 1] → reshape [N, K] → product

The integers are those of every other format of edgernn, GPTQ for 4 bits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from edgernn.errors import ContractError
from edgernn.export.rounding.blocks import BLOCK_SIZES, Blocks, quantize_matrix
from edgernn.export.rounding.recipe import Recipe, Rounding
from edgernn.export.to_onnx.quantize import NEAREST_BITS, layer_name, lookups, products
from edgernn.sessions.openvino.package import openvino, without_telemetry

with without_telemetry():
    from openvino import opset13 as ops

_TABLE_BITS = 8  # of a table of which a step reads one row: fewer would save no time


def round_matrices(model: Any, model_proto: onnx.ModelProto, recipe: Recipe) -> None:
    """Replace every product with a constant matrix, and every look-up in a constant table, of
    ``model``, in place; ``model_proto`` is the graph that it was read from.

    Raises:
        UsageError: a weight is not finite.
        ContractError: a matrix of the graph is not found again in the model.
    """
    named = {operation.get_friendly_name(): operation for operation in model.get_ops()}
    wanted = {node.name: node for node in (*products(model_proto), *lookups(model_proto))}
    for name, node in wanted.items():
        operation = _found(named, name)
        made = (_product if node.op_type != "Gather" else _lookup)(operation, node, recipe)
        made.set_friendly_name(operation.get_friendly_name())
        operation.output(0).replace(made.output(0))
    model.validate_nodes_and_infer_types()


def _found(named: dict[str, Any], name: str) -> Any:
    """Return the operation that a node became: a ``Gemm`` becomes a product and a sum."""
    for own in (name, f"{name}/WithoutBiases"):
        if own in named and named[own].get_type_name() in {"MatMul", "Gather"}:
            return named[own]
    raise ContractError(f"OpenVINO has no product for {name}; export another precision")


def _product(operation: Any, node: onnx.NodeProto, recipe: Recipe) -> Any:
    layer = layer_name(node)
    matrix = _constant(operation, 1)  # [K, N]
    if not operation.get_attributes()["transpose_b"]:
        matrix = np.ascontiguousarray(matrix.T)
    columns = matrix.shape[1]
    rounding = _rounding(recipe.chosen(layer, len(matrix)), columns)
    hessian = recipe.hessians.get(layer) if rounding.bits < NEAREST_BITS else None
    blocks = quantize_matrix(
        matrix, bits=rounding.bits, block_size=rounding.block_size, hessian=hessian
    )
    given, weight = operation.input_value(0), compressed(blocks)
    if extra := weight.output(0).get_shape()[1] - columns:  # as many zeros behind what comes in
        rank = given.get_partial_shape().rank.get_length()
        ends = [np.array([*[0] * (rank - 1), end], np.int64) for end in (0, extra)]
        given = ops.pad(given, *ends, "constant", np.float32(0))
    return ops.matmul(given, weight, False, True)


def _lookup(operation: Any, node: onnx.NodeProto, recipe: Recipe) -> Any:
    table = _constant(operation, 0)  # [V, E]
    chosen = replace(recipe.layers.get(layer_name(node), recipe.default), bits=_TABLE_BITS)
    columns = table.shape[1]
    rounding = _rounding(chosen, columns)
    blocks = quantize_matrix(table, bits=rounding.bits, block_size=rounding.block_size)
    ids, axis = operation.input_value(1), ops.constant(np.int64(0))
    integers, scales = _parts(blocks)
    rows = ops.multiply(
        ops.convert(ops.gather(integers, ids, axis), "f32"), ops.gather(scales, ids, axis)
    )
    rank = ids.get_partial_shape().rank.get_length()
    whole = ops.reshape(rows, np.array([*[0] * rank, -1], np.int64), True)
    if whole.output(0).get_partial_shape()[rank].get_length() == columns:
        return whole
    ends = [np.array([at], np.int64) for at in (0, columns, 1, rank)]
    return ops.slice(whole, *ends)


def _constant(operation: Any, place: int) -> np.ndarray:
    found: np.ndarray = operation.input_value(place).get_node().get_data()
    return found


def _rounding(chosen: Rounding, columns: int) -> Rounding:
    """Return the largest block up to the chosen one that ``columns`` fill; one that holds a whole
    row where none does and there is one; else the smallest, which pads the fewest.
    """
    sizes = [size for size in BLOCK_SIZES if size <= chosen.block_size and columns % size == 0]
    one = [size for size in BLOCK_SIZES if size >= columns]
    return replace(chosen, block_size=sizes[-1] if sizes else one[0] if one else BLOCK_SIZES[0])


def compressed(blocks: Blocks) -> Any:
    """Return the operation whose output is the matrix ``[N, K]`` that ``blocks`` stand for; K is
    that of whole blocks where there are several, and even in 4 bits.
    """
    integers, scales = _parts(blocks)
    matrix = ops.multiply(ops.convert(integers, "f32"), scales)
    rows = len(blocks.integers)
    return ops.reshape(matrix, np.array([rows, -1], np.int64), False)


def _parts(blocks: Blocks) -> tuple[Any, Any]:
    """Return the constants ``[N, blocks, size]`` and ``[N, blocks, 1]``. A row of 4 bits ends with
    a whole byte: with five rows a call and more, OpenVINO multiplies wrongly by one that does not.
    """
    held = blocks.integers
    if held.shape[1] == 1:
        odd = blocks.columns % 2 if blocks.bits < _TABLE_BITS else 0
        held = held[:, :, : blocks.columns + odd]
    return _integers(held, blocks.bits), ops.constant(blocks.scales[:, :, None])


def _integers(values: np.ndarray, bits: int) -> Any:
    if bits == _TABLE_BITS:
        return ops.constant(np.ascontiguousarray(values))
    halves = np.pad((values.reshape(-1) & 15).astype(np.uint8), (0, values.size % 2))
    packed = halves[0::2] | (halves[1::2] << 4)
    held = openvino.Tensor(openvino.Type.i4, list(values.shape))
    held.data[...] = packed.reshape(held.data.shape)
    return openvino.op.Constant(held)
