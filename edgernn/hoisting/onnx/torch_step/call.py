"""One operator of a graph with what goes in, as its translation into torch takes it.

What is known when the graph is built, shapes and places above all, is a numpy array; everything
else is a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

from edgernn.errors import UsageError
from edgernn.hoisting.onnx.flow import attribute, shown

Value = Tensor | np.ndarray | None


@dataclass(frozen=True, eq=False)
class Call:
    """An operator, its inputs, and the operator set by whose rules it is read."""

    node: onnx.NodeProto
    inputs: Sequence[Value]
    opset: int

    @property
    def what(self) -> str:
        """The operator in words."""
        return shown(self.node)

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return attribute(self.node, name, default)

    def maybe(self, place: int) -> Value:
        """Return an input, or None where it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def tensor(self, place: int = 0) -> Tensor:
        """Return an input as a tensor."""
        value = self.maybe(place)
        if value is None:
            raise self.refused(f"lacks its input {place}")
        return as_tensor(value)

    def tensors(self) -> list[Tensor]:
        """Return every input that is there as a tensor."""
        return [as_tensor(value) for value in self.inputs if value is not None]

    def numbers(self, place: int, name: str | None = None) -> list[int] | None:
        """Return what is an input in newer operator sets and an attribute in older ones: numbers
        that are known, or sizes as tracing follows them; None where it is neither.
        """
        value = self.maybe(place)
        if value is None:
            found = self.get(name) if name else None
            return None if found is None else list(found)
        if isinstance(value, np.ndarray):
            return [int(number) for number in value.ravel()]
        flat = value.reshape(-1)
        return [flat[at] for at in range(flat.shape[0])]  # type: ignore[misc]  # traced sizes

    def number(self, place: int, name: str | None = None) -> float | None:
        """Return a number that is known, from an input or an attribute."""
        value = self.maybe(place)
        if value is None:
            return None if name is None else self.get(name)
        if not isinstance(value, np.ndarray):
            raise self.refused("takes a limit that is computed")
        return float(value.ravel()[0])

    def refused(self, why: str) -> UsageError:
        """Return the error for what has no translation."""
        return UsageError(
            f"{self.what} {why}, and has no translation into torch's operators; ONNX in float32 "
            "or float16 carries it"
        )


Handler = Callable[[Call], Value | tuple[Value, ...]]


def as_tensor(value: Tensor | np.ndarray) -> Tensor:
    """Return a tensor of what may be known."""
    return value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))
