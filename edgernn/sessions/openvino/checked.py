"""What the runtime would trust of a network, checked before it sees it: constants lie within the
file of constants, which is the one that the network was written with, and indices within what they
choose from. The runtime reads what is not there otherwise.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

from edgernn import storage
from edgernn.errors import ContractError
from edgernn.sessions.openvino.ir import BIN, BITS, XML, Layer, Network, number

CONSTANTS = "constants"  # the entry of the metadata with the SHA-256 of the file of constants


def check_network(network: Network, path: Path) -> None:
    """Raise ContractError for the first thing in the folder at ``path`` that is not as it says."""
    try:
        size = storage.size_bytes(path / BIN)
        for layer in network.of("Const"):
            _check_place(layer, size, path)
        said = network.metadata.get(CONSTANTS)
        if said is not None and storage.sha256(path / BIN) != said:
            raise ContractError(
                f"{path} is damaged: {BIN} is not the file that {XML} was written with; export it "
                "again"
            )
    except OSError as error:
        raise ContractError(
            f"{path} is no network of OpenVINO, or is damaged: {BIN}: {storage.reason(error)}"
        ) from error
    for layer in network.of("Gather"):
        _check_index(network, layer, path)


def _check_place(layer: Layer, size: int, path: Path) -> None:
    """Raise ContractError where a constant does not lie in a file of so many bytes."""
    try:
        offset, held = number(layer.data["offset"]), number(layer.data["size"])
        wanted = -(-prod(layer.constant_shape) * BITS[layer.data["element_type"]] // 8)
    except (KeyError, ValueError) as error:
        raise ContractError(
            f"{path / XML} is damaged: the constant {layer.name} lacks or misstates {error}; "
            "export it again"
        ) from error
    lowest = min(layer.constant_shape, default=1)
    if held != wanted or offset < 0 or offset + held > size or lowest < 0:
        raise ContractError(
            f"{path} is damaged: the constant {layer.name} lies at {offset} to {offset + held} of "
            f"{size} bytes, and {layer.data['element_type']} [{layer.data.get('shape', '')}] takes "
            f"{wanted}; export it again"
        )


def _check_index(network: Network, layer: Layer, path: Path) -> None:
    """Raise ContractError where constants choose what is not there."""
    index, axis = (network.source(layer, place)[0] for place in (1, 2))
    made, port = network.source(layer, 0)
    shape = made.shapes[port]
    if index.kind != "Const" or axis.kind != "Const":
        return
    places, found = network.values(axis).ravel(), network.values(index)
    place = int(places[0]) if places.size == 1 else len(shape)
    inside = -len(shape) <= place < len(shape)
    size = shape[place] if inside else None
    if not inside or (size is not None and ((found < -size) | (found >= size)).any()):
        raise ContractError(
            f"{path} is damaged: {layer.name} chooses {found.ravel()[:3].tolist()} along axis "
            f"{place} of {list(shape)}; export it again"
        )
