"""What the weights of a ``.tflite`` file are stored as, read out of the graph: the truth about a
quantisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from edgernn.bundle.stored_weights import FROM_STATE, OTHERS, StoredWeight
from edgernn.sessions.litert.model_file import ModelFile, Tensor

_FLOAT_BYTES = 4
_TABLES = {"EMBEDDING_LOOKUP": 1, "GATHER": 0}  # operator → the input of which it reads rows
_MATRICES = {  # operator → the inputs that it multiplies by
    "FULLY_CONNECTED": (1,),
    "CONV_2D": (1,),
    "DEPTHWISE_CONV_2D": (1,),
    "TRANSPOSE_CONV": (1,),
    "BATCH_MATMUL": (0, 1),
    **{kind: (place,) for kind, place in _TABLES.items()},
}


def weight_table(model: ModelFile) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel of the file once, and what is left as one last
    entry.
    """
    found: dict[int, StoredWeight] = {}
    for at, touched in _read(model):
        whole = found.get(at)
        if whole is None or whole.touched_bytes < touched:
            found[at] = _stored(model, at, touched)
    inside = {model.tensors[at].scales_in for at in found} | set(found)
    rest = [t for at, t in enumerate(model.tensors) if t.data is not None and at not in inside]
    size = sum(tensor.bytes for tensor in rest)
    others = StoredWeight(OTHERS, (), "float32", size, size, size)
    return (*found.values(), others) if size else tuple(found.values())


def _read(model: ModelFile) -> Iterator[tuple[int, int]]:
    """Yield the constants that an operator reads as a matrix or a table, each with the bytes that
    one step reads.
    """
    source = {
        operator.outputs[0]: operator.inputs[0]
        for operator in model.operators
        if operator.kind == "DEQUANTIZE"
    }
    for operator in model.operators:
        for place in _MATRICES.get(operator.kind, ()):
            at = operator.inputs[place] if place < len(operator.inputs) else -1
            at = source.get(at, at)
            if at < 0 or model.tensors[at].data is None or len(model.tensors[at].shape) < 2:
                continue
            size = _bytes(model, model.tensors[at])
            rows = model.tensors[at].shape[0] if operator.kind in _TABLES else 1
            yield at, size // rows


def _stored(model: ModelFile, at: int, touched: int) -> StoredWeight:
    tensor = model.tensors[at]
    return StoredWeight(
        name=tensor.name,
        shape=tensor.shape,
        dtype=tensor.dtype,
        float32_bytes=prod(tensor.shape) * _FLOAT_BYTES,
        bytes=_bytes(model, tensor),
        touched_bytes=touched,
        recurrent=tensor.name.rpartition(".")[2] in FROM_STATE,
        block_size=tensor.block_size,
    )


def _bytes(model: ModelFile, tensor: Tensor) -> int:
    """Return what a tensor takes with its scales and zeros."""
    beside = model.tensors[tensor.scales_in].bytes if tensor.scales_in >= 0 else 0
    return tensor.bytes + beside + tensor.scales.nbytes + tensor.zeros.nbytes
