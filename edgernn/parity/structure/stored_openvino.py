"""What the weights of a network of OpenVINO are stored as, read out of its text: the truth about a
quantisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from edgernn.bundle.stored_weights import FROM_STATE, OTHERS, StoredWeight
from edgernn.sessions.openvino.ir import BITS, DTYPES, Layer, Network

_FLOAT_BYTES = 4
_SEQUENCES = {"LSTMSequence": (4, 5), "GRUSequence": (3, 4), "RNNSequence": (3, 4)}
_CELLS = {"LSTMCell": (3, 4), "GRUCell": (2, 3), "RNNCell": (2, 3)}
_MATRICES = {
    **{"MatMul": (0, 1), "Convolution": (1,), "GroupConvolution": (1,), "Gather": (0,)},
    **_SEQUENCES,
    **_CELLS,
}
_PASSED = frozenset(("Convert", "Reshape", "Multiply"))  # between integers and their product
Found = dict[tuple[str, ...], StoredWeight]


def weight_table(network: Network) -> tuple[StoredWeight, ...]:
    """Return every matrix, table and kernel of ``network``, and what is left as one last entry."""
    found: Found = {}
    for index, layer in enumerate(network.layers):
        for place in _MATRICES.get(layer.kind, ()):
            for ids, weight in _weight(network, layer, place, index):
                found.setdefault(ids, weight)
    named = {own for ids in found for own in ids}
    left = (layer for layer in network.of("Const") if layer.id not in named)
    rest = {layer.data["offset"]: layer for layer in left}.values()  # equal ones lie there once
    size = sum(map(_bytes, rest))
    whole = sum(prod(own.constant_shape) for own in rest if _is_float(own)) * _FLOAT_BYTES
    others = StoredWeight(OTHERS, (), "float32", max(whole, size), size, size)
    return (*found.values(), others) if size else tuple(found.values())


def _weight(
    network: Network, layer: Layer, place: int, index: int
) -> Iterator[tuple[tuple[str, ...], StoredWeight]]:
    """Yield the matrix that ``layer`` reads at ``place``, and the ids of the constants that hold
    it.
    """
    held = _constants(network, network.source(layer, place)[0])
    if not held or max(len(own.constant_shape) for own in held) < 2:
        return
    integers, *scales = sorted(held, key=lambda own: -prod(own.constant_shape))
    from_state = place == _MATRICES[layer.kind][-1] and layer.kind in {*_SEQUENCES, *_CELLS}
    name = _layer_name(layer)
    looked_up = layer.kind == "Gather"
    if looked_up and _beside(network, layer) is not None:
        scales = [own for own in [_beside(network, layer)] if own is not None]
        if prod(scales[0].constant_shape) > prod(integers.constant_shape):
            return  # these are the scales of another look-up
    blocks = prod(scales[0].constant_shape) if scales and not _is_float(integers) else 0
    shape = _shape(integers, layer, blocks)
    size = _bytes(integers) + (sum(map(_bytes, scales)) if blocks else 0)
    yield (
        tuple(own.id for own in ((integers, *scales) if blocks else (integers,))),
        StoredWeight(
            name=f"{name}.{index}.{'from_hidden' if from_state else 'from_input'}"
            if layer.kind in _SEQUENCES
            else name,
            shape=shape,
            dtype=DTYPES.get(integers.data["element_type"], integers.data["element_type"]),
            float32_bytes=prod(shape) * _FLOAT_BYTES,
            bytes=size,
            touched_bytes=size // shape[0] if looked_up else size,
            recurrent=from_state or name.rpartition(".")[2] in FROM_STATE,
            block_size=prod(integers.constant_shape) // blocks if blocks else 0,
        ),
    )


def _constants(network: Network, layer: Layer) -> list[Layer]:
    """Return the constants that alone decide what ``layer`` gives, but for those of a shape; none
    where something else decides too.
    """
    if layer.kind == "Const":
        return [layer]
    if layer.kind not in _PASSED:
        return []
    found = []
    for place in range(len(layer.inputs) if layer.kind == "Multiply" else 1):
        held = _constants(network, network.source(layer, place)[0])
        if not held:
            return []
        found += held
    return found


def _beside(network: Network, layer: Layer) -> Layer | None:
    """Return the scales of a table of integers: what is looked up beside, for the same product."""
    after = _after(network, layer)
    while after is not None and after.kind == "Convert":
        after = _after(network, after)
    if after is None or after.kind != "Multiply":
        return None
    for place in range(2):
        other = network.source(after, place)[0]
        while other.kind == "Convert":
            other = network.source(other, 0)[0]
        if other.kind == "Gather" and other.id != layer.id:
            held = network.source(other, 0)[0]
            while held.kind == "Convert":
                held = network.source(held, 0)[0]
            return held if held.kind == "Const" else None
    return None


def _after(network: Network, layer: Layer) -> Layer | None:
    readers = network.readers.get(layer.id, ())
    return network.by_id[readers[0]] if len(readers) == 1 else None


def _shape(integers: Layer, layer: Layer, blocks: int) -> tuple[int, ...]:
    """Return a matrix's shape as ``[N, K]``, whatever stands where in the file."""
    shape = integers.constant_shape
    if blocks and len(shape) > 2:
        return shape[0], prod(shape[1:])
    turned = layer.kind == "MatMul" and layer.data.get("transpose_b") != "true"
    if layer.kind in {*_SEQUENCES}:
        return shape
    return tuple(reversed(shape)) if turned else shape


def _layer_name(layer: Layer) -> str:
    """Return the layer of the model that a layer was traced from, with dots: ``/model/head/MatMul``
    is ``head``.
    """
    parts = [part for part in layer.name.split("/")[1:-1] if part not in ("model", "")]
    return ".".join(parts) or layer.name


def _is_float(layer: Layer) -> bool:
    return layer.data["element_type"] in {"f16", "f32", "f64", "bf16"}


def _bytes(layer: Layer) -> int:
    return -(-prod(layer.constant_shape) * BITS[layer.data["element_type"]] // 8)
