"""One operator of an ONNX graph with what goes in, as the tables of operators take it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.errors import ContractError
from edgernn.export.to_ncnn.builder import Builder, Shape, Value
from edgernn.sessions.ort.graph import OnnxNode


@dataclass(frozen=True)
class Call:
    """An operator, its inputs, the shapes of what it makes, and where layers are added."""

    node: OnnxNode
    values: list[Value | None]
    shapes: list[Shape | None]
    build: Builder

    @property
    def name(self) -> str:
        """The layer of the model that it was traced from: ``/model/head/MatMul`` is ``head``."""
        parts = [part for part in self.node.name.split("/")[1:-1] if part != "model"]
        return ".".join(parts)

    @property
    def shape(self) -> Shape:
        """The shape of its first result."""
        return self.shape_of(0)

    def shape_of(self, place: int) -> Shape:
        """Return the shape of a result."""
        found = self.shapes[place]
        if found is None:
            raise self.refusal("makes a tensor whose shape is not known")
        return found

    def __getitem__(self, place: int) -> Value:
        value = self.maybe(place)
        if value is None:
            raise self.refusal(f"lacks its input {place}")
        return value

    def maybe(self, place: int) -> Value | None:
        """Return an input, None where it is left out."""
        return self.values[place] if place < len(self.values) else None

    def constant(self, place: int) -> np.ndarray:
        """Return an input that is constant; raise ContractError where it is none."""
        array = self[place].array
        if array is None:
            raise self.refusal(f"has an input {place} that is no constant")
        return array

    def numbers(self, place: int, name: str) -> list[int] | None:
        """Return what is an input in newer operator sets and was an attribute in older ones."""
        if self.maybe(place) is not None:
            return [int(one) for one in self.constant(place).reshape(-1)]
        found = self.get(name)
        return None if found is None else [int(one) for one in found]

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.node.attributes.get(name, default)

    def axis(self, default: int = 0) -> int:
        """Return the attribute ``axis`` as a place in the shape of the first input."""
        return int(self.get("axis", default)) % max(len(self[0].shape), 1)

    def refusal(self, why: str) -> ContractError:
        """Return what is raised where ncnn does not have what is asked for."""
        name = self.node.name or next(iter(self.node.outputs), "")
        return ContractError(f"ncnn: {self.node.op} ({name}) {why}; leave ncnn out")

    def one(self, kind: str, numbers: dict[int, Any] | None = None) -> Value:
        """Add a layer that takes the first input as it is and keeps its shape."""
        return self.build.value(
            self.build.one(kind, [self.build.blob(self[0])], numbers), self.shape
        )


Handler = Callable[[Call], Value | list[Value]]  # of a row of a table of operators
