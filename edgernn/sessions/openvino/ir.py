"""A network in OpenVINO's own format, its intermediate representation (IR), read without the
package: a folder with ``model.xml``, the layers and their connections, and ``model.bin``, the
constants.

Everything that the runtime would trust is checked here first: every constant lies within the bytes
that are there and has as many as its dtype and shape say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np

from edgernn import storage
from edgernn.errors import ContractError
from edgernn.sessions.openvino.xml_tree import MOST_BYTES, Element, read_tree

XML, BIN = "model.xml", "model.bin"
BITS = {
    **{"boolean": 8, "i4": 4, "u4": 4, "i8": 8, "u8": 8, "i16": 16, "u16": 16, "f16": 16},
    **{"bf16": 16, "i32": 32, "u32": 32, "f32": 32, "i64": 64, "u64": 64, "f64": 64},
}
# element type or precision → the contract's dtype
DTYPES = {
    **{"boolean": "bool", "bool": "bool", "f16": "float16", "f32": "float32", "f64": "float64"},
    **{"fp16": "float16", "fp32": "float32", "fp64": "float64"},
    **{f"i{bits}": f"int{bits}" for bits in (4, 8, 16, 32, 64)},
    **{f"u{bits}": f"uint{bits}" for bits in (4, 8, 16, 32, 64)},
}
_STORED = {
    **{"boolean": "?", "f16": "<f2", "f32": "<f4", "f64": "<f8"},
    **{f"{kind}{bits}": f"<{kind}{bits // 8}" for kind in "iu" for bits in (8, 16, 32, 64)},
}
Port = tuple[str, str]  # the id of a layer and of one of its ports


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        id, name, kind: as the file says; ``kind`` is the type of the operation, as ``MatMul``.
        data: its attributes.
        inputs, outputs: the ids of its ports in order.
        shapes: port → its dimensions, None where one is open.
        precisions, names: port → as the file says, of outputs.
        bodies: the networks within it.
    """

    id: str
    name: str
    kind: str
    data: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    precisions: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bodies: tuple[Element, ...] = ()

    @property
    def constant_shape(self) -> tuple[int, ...]:
        """Of a constant its shape; of a parameter too, where it is fixed."""
        return tuple(map(_number, filter(None, self.data.get("shape", "").split(","))))


@dataclass(frozen=True)
class Network:
    """A network: its layers in the file's order, and where each input of a layer comes from."""

    layers: tuple[Layer, ...]
    sources: Mapping[Port, Port]
    metadata: Mapping[str, str]
    constants: Path

    def values(self, layer: Layer) -> np.ndarray:
        """Return the values of a small constant; of one in 4 bits its bytes."""
        with (self.constants).open("rb") as file:
            file.seek(_number(layer.data["offset"]))
            content = file.read(_number(layer.data["size"]))
        stored = _STORED.get(layer.data["element_type"])
        if stored is None:
            return np.frombuffer(content, np.uint8)
        return np.frombuffer(content, stored).reshape(layer.constant_shape)

    def in_order(self) -> list[Layer]:
        """Return the layers, each after those that it reads.

        Raises:
            ContractError: they go round in a circle.
        """
        waiting = {layer.id: len(layer.inputs) for layer in self.layers}
        ready = [layer.id for layer in self.layers if not layer.inputs]
        for found in ready:
            for reader in self.readers.get(found, ()):
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
        if len(ready) != len(self.layers):
            raise ContractError(f"{self.constants.parent} is damaged: its layers go in a circle")
        return [self.by_id[found] for found in ready]

    @cached_property
    def by_id(self) -> dict[str, Layer]:
        """Every layer by its id."""
        return {layer.id: layer for layer in self.layers}

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """The ids of the layers that read a layer's outputs, by its id."""
        found: dict[str, list[str]] = {}
        for (reader, _), (made, _) in self.sources.items():
            found.setdefault(made, []).append(reader)
        return found

    def of(self, kind: str) -> list[Layer]:
        """Return the layers of a kind."""
        return [layer for layer in self.layers if layer.kind == kind]

    def source(self, layer: Layer, place: int) -> tuple[Layer, str]:
        """Return the layer, and its port, that the input ``place`` of ``layer`` comes from."""
        made, port = self.sources[layer.id, layer.inputs[place]]
        return self.by_id[made], port


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
    _check_constants(network, path)
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
    sizes = [_number(dim.text) for dim in port.all("dim")]
    return tuple(None if size < 0 else size for size in sizes)


def _number(text: str) -> int:
    if not text.strip().lstrip("-").isascii() or not text.strip().lstrip("-").isdigit():
        raise ValueError(f"the size {text!r}")
    return int(text)


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


def _check_constants(network: Network, path: Path) -> None:
    """Raise ContractError for the first constant that does not lie in the file of constants."""
    try:
        size = storage.size_bytes(path / BIN)
    except OSError as error:
        raise ContractError(
            f"{path} is no network of OpenVINO, or is damaged: {BIN}: {storage.reason(error)}"
        ) from error
    for layer in network.of("Const"):
        try:
            offset, held = _number(layer.data["offset"]), _number(layer.data["size"])
            bits = BITS[layer.data["element_type"]]
            wanted = -(-prod(layer.constant_shape) * bits // 8)
        except (KeyError, ValueError) as error:
            raise ContractError(
                f"{path / XML} is damaged: the constant {layer.name} lacks or misstates {error}; "
                "export it again"
            ) from error
        if (
            held != wanted
            or offset < 0
            or offset + held > size
            or min(layer.constant_shape, default=1) < 0
        ):
            raise ContractError(
                f"{path} is damaged: the constant {layer.name} lies at {offset} to {offset + held} "
                f"of {size} bytes, and {layer.data['element_type']} "
                f"[{layer.data.get('shape', '')}] takes {wanted}; export it again"
            )
