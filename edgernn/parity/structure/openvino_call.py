"""One operator of a network of OpenVINO with what goes in, as the rules of shapes take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.parity.structure import shape_moves
from edgernn.parity.structure.sizes import SizeError, Value, dim, known
from edgernn.sessions.openvino.ir import Layer, Network

_FEW = 64  # constants of more elements are weights, never shapes


class IrCall:
    """One operator with what goes in.

    Attributes:
        layer: the operator.
        values: what goes in, in order.
        fills: by place, the one element that an input has throughout, where that is known.
    """

    def __init__(
        self, layer: Layer, values: Sequence[Value], fills: Sequence[Any | None] = ()
    ) -> None:
        self.layer, self.values, self.fills = layer, values, fills
        self.what = f"{layer.kind} ({layer.name})"

    def __getitem__(self, place: int) -> Value:
        if place >= len(self.values):
            raise SizeError(f"{self.what} lacks its input {place}")
        return self.values[place]

    def get(self, name: str, default: str = "") -> str:
        """Return an attribute as it is written."""
        return self.layer.data.get(name, default)

    def numbers(self, name: str) -> list[int]:
        """Return an attribute of whole numbers."""
        return [int(part) for part in self.get(name).split(",") if part.strip()]

    def yes(self, name: str) -> bool:
        """Return an attribute that is true or false."""
        return self.get(name, "false").strip() in {"true", "1"}

    def elements(self, place: int) -> list[Any]:
        """Return the elements of an input, which must follow from constants and sizes."""
        return shape_moves.elements(self[place], self.what)

    def whole(self, place: int) -> list[int]:
        """Return the elements of an input as whole numbers."""
        return [int(element) for element in self.elements(place)]


_HALF_BYTES = ("i4", "u4")


def constant(network: Network, layer: Layer) -> Value:
    """Return what is known of a constant: its elements where they are few, else its shape; in 4
    bits, which hold no sizes, its shape alone.
    """
    few = np.prod(layer.constant_shape, dtype=float) <= _FEW
    if not few or layer.data["element_type"] in _HALF_BYTES:
        return Value(tuple(map(dim, layer.constant_shape)))
    return known(network.values(layer).astype(object))
