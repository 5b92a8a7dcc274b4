"""A network in OpenVINO's own format, its intermediate representation (IR), read without the
package: a folder with ``model.xml``, the layers and their connections, and ``model.bin``, the
constants.

``reading`` reads one, and checks what the runtime would trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from edgernn.errors import ContractError
from edgernn.sessions.openvino.xml_tree import Element

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


def number(text: str) -> int:
    """Return a whole number as the format writes it; raise ValueError where it is none."""
    if not text.strip().lstrip("-").isascii() or not text.strip().lstrip("-").isdigit():
        raise ValueError(f"the size {text!r}")
    return int(text)


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
        return tuple(map(number, filter(None, self.data.get("shape", "").split(","))))


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
            file.seek(number(layer.data["offset"]))
            content = file.read(number(layer.data["size"]))
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
