"""What the weights of an ONNX file are stored as, read out of the graph: the truth about a
quantisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from edgernn.bundle.stored_weights import FROM_STATE, OTHERS, StoredWeight
from edgernn.parity.structure.few_values import WIDE, few_bits, unpacked
from edgernn.sessions.ort.graph import OnnxGraph, OnnxNode, OnnxTensor

_PRODUCT, _LOOKUP = "MatMulNBits", "GatherBlockQuantized"
_FLOAT_BYTES = 4
_BITS = {
    "bool": 8,
    "float16": 16,
    "float32": 32,
    "float64": 64,
    "int4": 4,
    "int8": 8,
    "uint4": 4,
    "uint8": 8,
}
_INTEGERS = {"uint8": "int8"}  # with a byte in the middle for 0
RECURRENT = frozenset(("LSTM", "GRU", "RNN"))
_MATRICES = {
    "MatMul": (1,),
    "Gemm": (1,),
    "Conv": (1,),
    "Gather": (0,),
    "MatMulInteger": (1,),
    **dict.fromkeys(RECURRENT, (1, 2)),
}
Constants = Mapping[str, OnnxTensor]
Found = dict[tuple[str, ...], StoredWeight]


def weight_table(graph: OnnxGraph, *, activations: int | None = None) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel of ``graph`` and its sub-graphs, and what is left as
    one last entry.

    ``activations`` are the bits of what C multiplies with, which is generated from the graph and
    packs matrices of few values; None of a file that is run as it is.
    """
    found: Found = {}
    constants: dict[str, OnnxTensor] = {}
    _collect(graph, constants, found, activations or 0)
    named = {name for names in found for name in names}
    left = {id(tensor): tensor for name, tensor in constants.items() if name not in named}.values()
    rest, halves = (
        sum(map(_bytes, left)),
        sum(_bytes(tensor) for tensor in left if tensor.dtype == "float16"),
    )
    others = StoredWeight(OTHERS, (), "float32", rest + halves, rest, rest)
    return (*found.values(), others) if rest else tuple(found.values())


def _collect(
    graph: OnnxGraph, constants: dict[str, OnnxTensor], found: Found, activations: int
) -> None:
    """Add what ``graph`` stores; constants go by the name under which nodes read them, one in
    float16 by its cast's.
    """
    constants.update(graph.constants)
    for node in graph.nodes:
        if node.op == "Cast" and node.inputs[0] in constants:
            constants[node.outputs[0]] = constants.pop(node.inputs[0])
    for index, node in enumerate(graph.nodes):
        if node.domain and node.op in {_PRODUCT, _LOOKUP}:
            stored = (node.inputs[1 if node.op == _PRODUCT else 0], node.inputs[2])
            if all(name in constants for name in stored):
                held = [constants[name] for name in stored]
                found.setdefault(stored, _quantised(node, held, activations))
            continue
        for name, weight in _float_weights(node, index, constants):
            found.setdefault((name,), weight)
        for inner in node.graphs():
            _collect(inner, constants, found, activations)


def _layer_name(node: OnnxNode) -> str:
    """Return the layer of the model that a node was traced from, with dots: ``/model/head/MatMul``
    is ``head``.
    """
    parts = [part for part in node.name.split("/")[1:-1] if part != "model"]
    return ".".join(parts) or node.name


def _quantised(node: OnnxNode, stored: list[OnnxTensor], activations: int) -> StoredWeight:
    attributes = node.attributes
    size, bits = sum(map(_bytes, stored)), attributes.get("bits", 4)
    if node.op == _PRODUCT:
        shape = (attributes["N"], attributes["K"])
        if activations == WIDE and bits == 4:
            held = stored[0].values().reshape(shape[0], -1)
            bits = few_bits(unpacked(held, shape[1]), bits, activations)
            size = size if bits == 4 else _bytes(stored[1]) + shape[0] * -(-shape[1] * bits // 8)
        touched = size
    else:
        rows = stored[0].shape[0]
        shape, touched = (rows, stored[0].shape[1] * 8 // bits), size // rows
    name = _layer_name(node)
    return StoredWeight(
        name=name,
        shape=shape,
        dtype=f"int{bits}",
        float32_bytes=prod(shape) * _FLOAT_BYTES,
        bytes=size,
        touched_bytes=touched,
        recurrent=name.rpartition(".")[2] in FROM_STATE,
        block_size=attributes["block_size"],
    )


def _float_weights(
    node: OnnxNode, index: int, constants: Constants
) -> Iterator[tuple[str, StoredWeight]]:
    name, recurrent = _layer_name(node), node.op in RECURRENT
    for place in _MATRICES.get(node.op, ()):
        tensor = constants.get(node.inputs[place])
        if tensor is None or len(tensor.shape) < 2:
            continue
        from_state = (recurrent and place == 2) or name.rpartition(".")[2] in FROM_STATE
        own = (
            f"{name}.{index}.{'from_hidden' if from_state else 'from_input'}" if recurrent else name
        )
        size = _bytes(tensor)
        turned = node.op in {"MatMul", "MatMulInteger", "Gemm"} and not node.attributes.get(
            "transB"
        )  # it lies there as [K, N]
        yield (
            node.inputs[place],
            StoredWeight(
                name=own,
                shape=tuple(reversed(tensor.shape) if turned else tensor.shape),
                dtype=_INTEGERS.get(tensor.dtype, tensor.dtype),
                float32_bytes=prod(tensor.shape) * _FLOAT_BYTES,
                bytes=size,
                touched_bytes=size // tensor.shape[0] if node.op == "Gather" else size,
                recurrent=from_state,
            ),
        )


def _bytes(tensor: OnnxTensor) -> int:
    return -(-prod(tensor.shape) * _BITS.get(tensor.dtype, 64) // 8)
