"""The interface of a foreign file as it runs, and a pair of it that is a state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgernn.hoisting.onnx.axes import Declared
from edgernn.hoisting.onnx.flow import Flow
from edgernn.hoisting.onnx.sizes import Sizes


@dataclass(frozen=True)
class Pair:
    """A state of the interface: the input, the output of the call before, and how that is known."""

    input: str
    output: str
    how: str


@dataclass(frozen=True, eq=False)
class Interface:
    """The interface of a file as it runs: its graph, inputs, and the shapes and dtypes of outputs
    at each probe.
    """

    flow: Flow
    declared: Mapping[str, Declared]
    probes: tuple[Sizes, ...]
    found: tuple[Mapping[str, np.ndarray], ...]

    def fits(self, name: str, output: str) -> bool:
        """Whether ``output`` has the dtype and, at every probe, the shape of the input ``name``,
        and depends on it.
        """
        own = self.declared[name]
        return (
            self.found[0][output].dtype == own.dtype
            and name in self.flow.sources.get(output, frozenset())
            and self.same_shape(name, output)
        )

    def same_shape(self, name: str, output: str) -> bool:
        """Whether ``output`` has the shape of the input ``name`` at every probe."""
        own = self.declared[name]
        return all(
            found[output].shape == own.shape(sizes)
            for sizes, found in zip(self.probes, self.found, strict=True)
        )
