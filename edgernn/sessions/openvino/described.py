"""What a network in OpenVINO's format says of itself, read from its text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgernn.contract import FileContract
from edgernn.contract.file import METADATA_KEY
from edgernn.contract.interface import FileDescription, FileTensor, Interface
from edgernn.errors import ContractError
from edgernn.sessions.openvino.ir import DTYPES, Network
from edgernn.sessions.openvino.reading import read_network

CONTRACT, HOW = "contract", "how"  # below "edgernn" in the information about the model
_OPEN = "?"
_Found = tuple[tuple[str, ...], str, tuple[int | None, ...]]  # names, dtype, dimensions


def describe(path: Path) -> FileDescription:
    """Return the interface and the contract of the network in the folder at ``path``.

    The format has no names for open axes: where the contract in it has one of an open dimension,
    the dimension has that.

    Raises:
        ContractError: the folder is damaged, or holds something else.
    """
    network = read_network(path)
    metadata = {METADATA_KEY: network.metadata[CONTRACT]} if CONTRACT in network.metadata else {}
    said = _said(metadata, path)
    inputs = [_input(network, layer.id) for layer in network.of("Parameter")]
    outputs = [_output(network, layer.id) for layer in network.of("Result")]
    return FileDescription(
        Interface(
            _tensors(inputs, said.inputs),
            _tensors(outputs, said.outputs),
            _in_order(kept(network), said.states),
        ),
        metadata,
    )


def kept(network: Network) -> list[FileTensor]:
    """Return the variables that the runtime keeps, in the file's order."""
    return [
        FileTensor(
            layer.data.get("variable_id", ""),
            DTYPES.get(layer.data.get("variable_type", "").lower(), "unknown"),
            tuple(_OPEN if size < 0 else size for size in _sizes(layer.data["variable_shape"])),
        )
        for layer in network.of("ReadValue")
    ]


def _in_order(found: Sequence[FileTensor], said: Sequence[FileTensor]) -> tuple[FileTensor, ...]:
    """Return what is kept in the contract's order, for the format has none."""
    places = {tensor.name: place for place, tensor in enumerate(said)}
    return tuple(sorted(found, key=lambda tensor: places.get(tensor.name, len(places))))


def _sizes(text: str) -> list[int]:
    return [int(size) if size.isdigit() else -1 for size in text.split(",") if size]


def _said(metadata: dict[str, str], path: Path) -> Interface:
    """Return the interface that the contract promises; an empty one where there is none."""
    try:
        return FileContract.from_metadata(metadata, source=str(path)).interface()
    except ContractError:
        return Interface((), ())


def _input(network: Network, layer_id: str) -> _Found:
    layer = network.by_id[layer_id]
    port = layer.outputs[0]
    return layer.names[port] or (layer.name,), layer.precisions[port], layer.shapes[port]


def _output(network: Network, layer_id: str) -> _Found:
    layer = network.by_id[layer_id]
    made, port = network.source(layer, 0)
    return made.names[port] or (made.name,), made.precisions[port], made.shapes[port]


def _tensors(found: Sequence[_Found], said: Sequence[FileTensor]) -> tuple[FileTensor, ...]:
    """Return what was found; by the name that is said at its place where it has several."""
    tensors = []
    for place, (names, dtype, shape) in enumerate(found):
        own = said[place] if place < len(said) and said[place].name in names else None
        axes = own.shape if own and own.shape and len(own.shape) == len(shape) else shape
        tensors.append(
            FileTensor(
                own.name if own else names[0],
                DTYPES.get(dtype, dtype),
                tuple(
                    size if size is not None else axis if isinstance(axis, str) else _OPEN
                    for size, axis in zip(shape, axes, strict=True)
                ),
            )
        )
    return tuple(tensors)
