"""Edits of a folder of OpenVINO in a bundle: of its layers and connections, or its constants."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from _faulty import sign

from edgernn.sessions.openvino.checked import CONSTANTS
from edgernn.sessions.openvino.ir import BIN, XML, Layer, Network
from edgernn.sessions.openvino.reading import read_network

Apply = Callable[[Path], None]
_NUMPY = {"f32": "<f4", "i8": "i1", "i4": "u1", "i64": "<i8"}


class Net:
    """The text of a network, to be changed in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.tree = ElementTree.parse(path)
        root = self.tree.getroot()
        self.layers = {own.get("id", ""): own for own in root.iter("layer")}
        self.edges = list(root.iter("edge"))

    def of(self, kind: str) -> list[ElementTree.Element]:
        """Return the layers of a kind."""
        return [own for own in self.layers.values() if own.get("type") == kind]

    def into(self, layer: ElementTree.Element, place: int = 0) -> ElementTree.Element:
        """Return the edge that brings the input ``place`` of a layer."""
        found = [edge for edge in self.edges if edge.get("to-layer") == layer.get("id")]
        return sorted(found, key=lambda edge: int(edge.get("to-port", "")))[place]

    def out_of(self, edge: ElementTree.Element) -> ElementTree.Element:
        """Return the port that an edge begins at."""
        layer = self.layers[edge.get("from-layer", "")]
        ports = layer.iter("port")
        return next(port for port in ports if port.get("id") == edge.get("from-port"))

    def save(self) -> None:
        """Write it."""
        self.tree.write(self._path, encoding="utf-8", xml_declaration=True)


def exchange(first: ElementTree.Element, second: ElementTree.Element, *names: str) -> None:
    """Let two elements have each other's attributes of these names."""
    for name in names:
        held = first.get(name, "")
        first.set(name, second.get(name, ""))
        second.set(name, held)


def on_net(inner: str, change: Callable[[Net], None]) -> Apply:
    """Change the text of a network, and sign it."""

    def apply(folder: Path) -> None:
        net = Net(folder / inner / XML)
        change(net)
        net.save()
        sign(folder, inner)

    return apply


def on_constants(
    inner: str,
    choose: Callable[[Network], list[Layer]],
    change: Callable[[np.ndarray], np.ndarray],
) -> Apply:
    """Change the values of some constants, and sign the folder; of 4 bits the bytes, by row."""

    def apply(folder: Path) -> None:
        network = read_network(folder / inner)
        content = bytearray((folder / inner / BIN).read_bytes())
        chosen = choose(network)
        assert chosen
        for layer in chosen:
            at, size = int(layer.data["offset"]), int(layer.data["size"])
            held = np.frombuffer(bytes(content[at : at + size]), _NUMPY[layer.data["element_type"]])
            shape = layer.constant_shape
            rows = held.reshape((shape[0], -1) if len(shape) == 3 and shape[0] > 1 else shape)
            made = np.ascontiguousarray(change(rows.copy())).astype(held.dtype)
            assert made.size == held.size
            content[at : at + size] = made.tobytes()
        (folder / inner / BIN).write_bytes(content)
        text = (folder / inner / XML).read_text(encoding="utf-8")
        said, found = network.metadata[CONSTANTS], sha256(content).hexdigest()
        (folder / inner / XML).write_text(text.replace(said, found), encoding="utf-8")
        sign(folder, inner)

    return apply
