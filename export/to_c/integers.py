"""Operators over constants of 8 and 4 bits: onnxruntime's ``MatMulNBits`` and
``GatherBlockQuantized``, as ``to_onnx.quantize`` writes them.
"""

from __future__ import annotations

import numpy as np

from edgernn.export.to_c.call import Call
from edgernn.export.to_c.integer_nodes import GatherRows
from edgernn.export.to_c.matrices import IntegerMatrix
from edgernn.export.to_c.program import Product
from edgernn.export.to_c.views import View

_BITS = (8, 4)
_LARGEST_BLOCK = 256  # sums of a block of 16-bit activations stay within 32 bits


def product(call: Call) -> View:
    """Return ``x [..., K] Bᵀ + bias``, ``B [N, K]`` of integers in blocks along K."""
    build, x = call.build, call[0]
    depth, rows = int(call.get("K")), int(call.get("N"))
    matrix = _matrix(call, 1, (rows, depth))
    given = [call.maybe(place) for place in (3, 4)]
    if any(view is not None for view in given):
        raise call.refusal("has a zero point or an order of its own for its blocks")
    if x.dtype != "float32" or not x.rank or x.shape[-1] != depth:
        raise call.refusal(f"multiplies {x.dtype} {list(x.shape)} with [{depth}, {rows}]")
    count = x.size // depth
    flat = build.flat(build.reshaped(x, [count, depth]))
    out = build.room("float32", [count, rows])
    bias = None if call.maybe(5) is None else np.array(call.known(5), np.float32).reshape(rows)
    build.nodes.append(Product(out, (flat,), matrix, bias))
    return build.reshaped(out, [*x.shape[:-1], rows])


def rows_of_table(call: Call) -> View:
    """Return rows of a table of integers in blocks along its columns."""
    build, ids = call.build, call[1]
    if call.get("gather_axis", 0) != 0 or call.get("quantize_axis", 1) != 1 or call.maybe(3):
        raise call.refusal("gathers along another axis than that of rows, or has a zero point")
    bits = int(call.get("bits", 4))
    rows, stored = call.known(0).shape
    table = _matrix(call, 0, (rows, stored * 8 // bits))
    flat = build.flat(build.reshaped(ids, [ids.size]))
    out = build.room("float32", [ids.size, table.depth])
    build.nodes.append(GatherRows(out, table, flat))
    return build.reshaped(out, [*ids.shape, table.depth])


def _matrix(call: Call, place: int, shape: tuple[int, int]) -> IntegerMatrix:
    """Return the constant at ``place``, its scales one or two behind it, as ``[rows, columns]``."""
    bits, block = int(call.get("bits", 4)), int(call.get("block_size", 128))
    rows, columns = shape
    if bits not in _BITS or not 0 < block <= _LARGEST_BLOCK or block % 8 or min(shape) < 1:
        raise call.refusal(
            f"holds {bits} bits in blocks of {block}, expected 8 or 4 in blocks of 8 to "
            f"{_LARGEST_BLOCK}"
        )
    stored = np.array(call.known(place), np.uint8)
    blocks = -(-columns // block)
    values = stored if bits == 8 else np.stack([stored & 15, stored >> 4], -1)
    integers = values.reshape(rows, -1).astype(np.int16) - (1 << (bits - 1))
    scales = np.array(call.known(place + 1 if place else 2), np.float32).reshape(rows, blocks)
    if integers.shape[1] < columns:
        raise call.refusal(f"holds {integers.shape[1]} values a row, expected {columns}")
    return IntegerMatrix(integers[:, :columns].astype(np.int8), scales, bits, block)
