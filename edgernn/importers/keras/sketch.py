"""A network of layers while it is put together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgernn.models.layered.description import Layer


class Sketch:
    """The layers so far, their tensors, and what is to be told.

    Attributes:
        layers: in the order in which they run.
        tensors: parameter → value.
        told: sentences for the user.
        values: name of a layer of Keras → the value that it gives.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.told: list[str] = []
        self.values: dict[str, str] = {}
        self._taken: set[str] = set()

    def name(self, wanted: str) -> str:
        """Return a name for a layer or a port, like ``wanted`` and taken by no other."""
        base = re.sub(r"[^a-z0-9_]+", "_", wanted.lower()).strip("_")[:32] or "layer"
        base = base if base[0].isalpha() else f"layer_{base}"
        found, number = base, 1
        while found in self._taken:
            number += 1
            found = f"{base}_{number}"
        self._taken.add(found)
        return found

    def add(
        self,
        kind: str,
        wanted: str,
        inputs: Iterable[str],
        tensors: Mapping[str, np.ndarray] | None = None,
        **options: Any,
    ) -> str:
        """Add a layer; return its name, which is that of its value."""
        name = self.name(wanted)
        self.layers.append(Layer(name=name, kind=kind, inputs=tuple(inputs), options=options))
        self.tensors |= {f"layers.{name}.{key}": value for key, value in (tensors or {}).items()}
        return name
