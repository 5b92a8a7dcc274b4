"""A folder of OpenVINO, read and checked without the package."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgernn import storage
from edgernn.errors import ContractError
from edgernn.sessions.openvino.checked import check_network
from edgernn.sessions.openvino.ir import BIN, XML, Layer, Network, number
from edgernn.sessions.openvino.xml_tree import MOST_BYTES, Element, read_tree


def read_network(path: Path) -> Network:
    """Return the network in the folder at ``path``.

    Raises:
        ContractError: there is none, or it is damaged.
    """
    source = str(path / XML)
    root = read_tree(_read(path / XML, most=MOST_BYTES), source=source)
    if root.tag != "net":
        raise ContractError(f"{source} is no network of OpenVINO: its root is <{root.tag}>")
    try:
        network = _network(root, path / BIN)
    except (KeyError, ValueError) as error:
        raise ContractError(
            f"{source} is damaged: a layer or an edge lacks or misstates {error}; export it again"
        ) from error
    check_network(network, path)
    return network


def _read(path: Path, *, most: int) -> bytes:
    try:
        return storage.read_bytes(path, most=most)
    except OSError as error:
        raise ContractError(
            f"{path.parent} is no network of OpenVINO, or is damaged: {path.name}: "
            f"{storage.reason(error)}"
        ) from error


def _network(root: Element, constants: Path) -> Network:
    layers = root.find("layers")
    edges = root.find("edges")
    found = tuple(map(_layer, () if layers is None else layers.all("layer")))
    sources = {
        (edge.attributes["to-layer"], edge.attributes["to-port"]): (
            edge.attributes["from-layer"],
            edge.attributes["from-port"],
        )
        for edge in (() if edges is None else edges.all("edge"))
    }
    network = Network(found, sources, _metadata(root), constants)
    for (layer, port), (made, from_port) in sources.items():
        if port not in network.by_id[layer].inputs or from_port not in network.by_id[made].outputs:
            raise ValueError(f"the edge from {made}:{from_port} to {layer}:{port}")
    for own in found:
        for port in own.inputs:
            if (own.id, port) not in sources:
                raise ValueError(f"what goes into {own.name}")
    return network


def _layer(element: Element) -> Layer:
    said, data = element.attributes, element.find("data")
    inputs, outputs = (list(_ports(element, side)) for side in ("input", "output"))
    return Layer(
        id=said["id"],
        name=said["name"],
        kind=said["type"],
        data={} if data is None else data.attributes,
        inputs=tuple(port.attributes["id"] for port in inputs),
        outputs=tuple(port.attributes["id"] for port in outputs),
        shapes={port.attributes["id"]: _dims(port) for port in (*inputs, *outputs)},
        precisions={
            port.attributes["id"]: port.attributes.get("precision", "").lower()
            for port in (*inputs, *outputs)
        },
        names={port.attributes["id"]: _names(port) for port in outputs},
        bodies=tuple(child for child in element.children if child.find("layers") is not None),
    )


def _ports(element: Element, side: str) -> Iterator[Element]:
    found = element.find(side)
    return iter(()) if found is None else found.all("port")


def _dims(port: Element) -> tuple[int | None, ...]:
    sizes = [number(dim.text) for dim in port.all("dim")]
    return tuple(None if size < 0 else size for size in sizes)


def _names(port: Element) -> tuple[str, ...]:
    return tuple(filter(None, port.attributes.get("names", "").split(",")))


def _metadata(root: Element) -> dict[str, str]:
    """Return what the network says of itself, by the last tags of its path: ``edgernn`` has the
    contract.
    """
    found = root.at("rt_info", "edgernn")
    return {
        child.tag: child.attributes["value"]
        for child in (() if found is None else found.children)
        if "value" in child.attributes
    }
