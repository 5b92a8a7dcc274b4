"""One layer of Keras that is to be put into the sketch of a network, and what it is put in with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgernn.errors import CheckpointError
from edgernn.importers.keras.architecture import KerasLayer
from edgernn.importers.keras.recurrent import function_name
from edgernn.importers.sketch import Sketch


@dataclass(frozen=True)
class Task:
    """One layer to be put into the sketch.

    Attributes:
        layer: of Keras.
        variables: its own, in order.
        inputs: the values that it takes.
        sketch: what has been put together so far.
        version: of Keras, 1 to 3.
        width: the width that its result shall have as an axis of the network, or None.
    """

    layer: KerasLayer
    variables: Sequence[np.ndarray]
    inputs: tuple[str, ...]
    sketch: Sketch
    version: int
    width: str | None = None

    def refusal(self, why: str) -> CheckpointError:
        """Return the error that says why this layer is not taken."""
        return CheckpointError(f"the layer {self.layer.name!r} ({self.layer.kind}) {why}")

    def option(self, key: str, default: Any = None) -> Any:
        """Return what its configuration says."""
        return self.layer.config.get(key, default)

    def add(
        self, kind: str, tensors: Mapping[str, np.ndarray] | None = None, **options: Any
    ) -> str:
        """Add a layer of a network under this layer's name."""
        name = self.sketch.free(self.layer.name)
        return self.sketch.add(kind, name, *self.inputs, tensors=tensors, **options)

    def activated(self, value: str) -> str:
        """Return ``value`` after the layer's own ``activation``."""
        function = function_name(self.option("activation"), self.version, self.layer.name)
        if function == "linear":
            return value
        name = self.sketch.free(f"{self.layer.name}_{function}")
        return self.sketch.add("activation", name, value, function=function)
