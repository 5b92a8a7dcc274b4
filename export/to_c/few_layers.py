"""Which layers of a graph were trained to have two or three values a row; see
``models.few_values``.
"""

from __future__ import annotations

import numpy as np
import onnx

from edgernn.bundle.stored_weights import FROM_STATE
from edgernn.errors import UsageError
from edgernn.export.rounding.blocks import Blocks, few_valued
from edgernn.export.to_onnx.quantize import constant_matrix, layer_name

_WORDS = {1: "binary", 2: "ternary"}


def few_layers(model_proto: onnx.ModelProto, most: int) -> frozenset[str]:
    """Return the layers whose matrices are products of few values, of at most ``most`` bits each.

    Raises:
        UsageError: a matrix that multiplies the state is none of them, or there is none.
    """
    constants = {tensor.name: tensor for tensor in model_proto.graph.initializer}
    found = set[str]()
    for node in model_proto.graph.node:
        matrix = constant_matrix(node, constants)
        if matrix is None:
            continue
        layer, blocks = layer_name(node), few_valued(matrix)
        if blocks is not None and (most > 1 or _all_signs(blocks)):
            found.add(layer)
        elif layer.rpartition(".")[2] in FROM_STATE:
            raise UsageError(
                f"{layer} has rows of more than {most + 1} values; train with --weights "
                f"{_WORDS[most]} and widths (--embedding, --hidden) that are multiples of 16, or "
                f"leave the precision {_WORDS[most]} out"
            )
    if not found:
        raise UsageError(f"no matrix has rows of {most + 1} values; leave {_WORDS[most]} out")
    return frozenset(found)


def _all_signs(blocks: Blocks) -> bool:
    """Return whether every integer but the padding is a sign."""
    rows = blocks.integers.reshape(len(blocks.integers), -1)
    return bool(np.all(rows[:, : blocks.columns]))
