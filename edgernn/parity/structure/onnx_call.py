"""One operator of an ONNX graph with what goes in, as the rules of shapes take it."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgernn.parity.structure import shape_moves
from edgernn.parity.structure.sizes import SizeError, Value, dim, known
from edgernn.sessions.ort.graph import OnnxNode, OnnxTensor

_FEW = 64  # constants of more elements are weights, never shapes
_FEW_PLACES = 4096  # of whole numbers, which are no weights


class Call:
    """One operator with what goes in."""

    def __init__(self, node: OnnxNode, values: list[Value | None]) -> None:
        self.node, self.values = node, values
        self.what = f"{node.op} ({node.name or node.outputs[0]})"

    @property
    def given(self) -> list[Value]:
        """Every input that is there."""
        return [value for value in self.values if value is not None]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.node.attributes.get(name, default)

    def __getitem__(self, place: int) -> Value:
        value = self.maybe(place)
        if value is None:
            raise SizeError(f"{self.what} lacks its input {place}")
        return value

    def maybe(self, place: int) -> Value | None:
        """Return an input, or None where it is left out."""
        return self.values[place] if place < len(self.values) else None

    def numbers(self, place: int, name: str) -> list[Any] | None:
        """Return what is an input in newer operator sets and was an attribute in older ones; None
        where it is neither.
        """
        value = self.maybe(place)
        return self.get(name) if value is None else shape_moves.elements(value, self.what)


def constant(tensor: OnnxTensor) -> Value:
    """Return what is known of a constant: its elements where they are few, else its shape."""
    few = _FEW_PLACES if tensor.dtype == "int64" else _FEW
    if np.prod(tensor.shape, dtype=float) <= few:
        return known(tensor.values().astype(object))
    return Value(tuple(map(dim, tensor.shape)))
