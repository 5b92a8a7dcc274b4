"""What the matrices of a saved Core ML program are stored as, read out of its text; values stay
where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log2, prod
from typing import Any

import coremltools as ct

from edgernn.bundle.stored_weights import StoredWeight

_FEWEST = 10  # coremltools keeps smaller constants in the program's text
_FLOAT_BYTES = 4
_MATRICES = {
    "conv": {"weight"},
    "linear": {"weight"},
    "matmul": {"x", "y"},
    "gather": {"x"},
}  # operator → inputs
_TYPE = ct.proto.MIL_pb2.DataType
_FLOATS = {_TYPE.FLOAT16: "float16", _TYPE.FLOAT32: "float32"}
_HELD = ("data", "indices", "quantized_data")  # what holds a compressed matrix's integers


def stored_weights(operations: Sequence[Any]) -> tuple[StoredWeight, ...]:
    """Return every matrix that an operator of the program reads as such."""
    return tuple(_matrices(operations))


def _matrices(operations: Sequence[Any]) -> Iterator[StoredWeight]:
    read: set[str] = set()
    for operation in operations:
        for name in _MATRICES.get(operation.type, ()):
            read.update(binding.name for binding in operation.inputs[name].arguments)
    for operation in operations:
        if operation.type != "const" and not operation.type.startswith("constexpr_"):
            continue
        made = operation.outputs[0]
        shape = _shape(made.type)
        if (
            made.name in read
            and len(shape) > 1
            and made.type.tensorType.dataType in _FLOATS
            and prod(shape) >= _FEWEST
        ):
            yield _stored(operation, made.name, shape, _FLOATS[made.type.tensorType.dataType])


def _stored(operation: Any, name: str, shape: tuple[int, ...], float_dtype: str) -> StoredWeight:
    parts = {
        key: given.arguments[0].value.type
        for key, given in operation.inputs.items()
        if given.arguments
    }
    parts |= {key: given.type for key, given in operation.attributes.items()}
    dtype, block = float_dtype, 0
    if operation.type == "constexpr_lut_to_dense":
        palettes = _shape(parts["lut"])
        dtype, block = f"palettized{int(log2(palettes[-2]))}", prod(shape) // prod(palettes[:-2])
    elif operation.type != "const":
        held = next((parts[key] for key in _HELD if key in parts), None)
        dtype = "other" if held is None else _TYPE.Name(held.tensorType.dataType).lower()
        block = prod(shape) // max(1, prod(_shape(parts["scale"]))) if "scale" in parts else 0
    size = prod(shape) * _FLOAT_BYTES
    return StoredWeight(name, shape, dtype, size, size, size, block_size=block)


def _shape(kind: Any) -> tuple[int, ...]:
    return tuple(int(dimension.constant.size) for dimension in kind.tensorType.dimensions)
