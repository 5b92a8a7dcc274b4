"""A row of layers that takes frames ``x [B, T, channels]`` and gives ``y [B, T, outputs]``, written
layer by layer: what importers of sound and of control have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.contract import BATCH, TIME

if TYPE_CHECKING:
    from edgernn.models.layered.description import NetworkConfig
    from edgernn.models.layered.tensors import Block

X, Y, CHANNELS, OUTPUTS = "x", "y", "channels", "outputs"
Tensors = dict[str, np.ndarray]


class Row:
    """Writes one layer after another; each takes what the one before gives, unless it is told
    otherwise.

    Attributes:
        width: of what the last layer gives.
        last: the name of that value.
        tensors: the parameters so far, by their full names.
    """

    def __init__(self, channels: int) -> None:
        self.channels = self.width = channels
        self.last = X
        self.tensors: Tensors = {}
        self._layers: list[dict[str, Any]] = []

    def layer(
        self,
        kind: str,
        *,
        width: int | None = None,
        inputs: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
        tensors: Mapping[str, np.ndarray] | None = None,
    ) -> str:
        """Add a layer; return its name.

        Args:
            kind: a row of ``models.layered.table``.
            width: of what it gives; None where that of what it takes stays.
            inputs: the values that it takes; by default the last.
            options: of the kind.
            tensors: its parameters by their own names.
        """
        name = f"{kind}{sum(layer['kind'] == kind for layer in self._layers)}"
        taken = tuple(inputs) or (self.last,)
        said = {"name": name, "kind": kind, "inputs": taken, "options": dict(options or {})}
        self._layers.append(said)
        self.tensors |= {f"layers.{name}.{part}": array for part, array in (tensors or {}).items()}
        self.last, self.width = name, self.width if width is None else width
        return name

    def recurrent(
        self, cell: str, blocks: Sequence[Block], first: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Add recurrent layers of one width; ``first`` are their stored first states ``[L, H]``."""
        from edgernn.models.layered.tensors import recurrent_tensors

        hidden = int(blocks[0].w_hh.shape[1])
        options: dict[str, Any] = {"cell": cell, "hidden": hidden}
        if len(blocks) > 1:
            options["layers"] = len(blocks)
        if first:
            options["first"] = "stored"
        name = self.layer("recurrent", width=hidden, options=options)
        self.tensors |= recurrent_tensors(name, cell, blocks, first=first)

    def linear(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        """Add ``W x + b``: ``weight [O, I]``, ``bias [O]`` or none."""
        rows = int(weight.shape[0])
        tensors = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        self.layer(
            "linear",
            width=rows,
            options={"width": rows, "bias": bias is not None},
            tensors=tensors,
        )

    def gain(self, decibels: float) -> None:
        """Multiply by ``10^(dB/20)``."""
        if decibels:
            self.layer("scale", options={"factor": float(10.0 ** (decibels / 20))})

    def part(self, start: int, width: int, of: str) -> str:
        """Add a part of the value ``of``; return its name."""
        return self.layer(
            "slice", width=width, inputs=(of,), options={"start": start, "width": width}
        )

    def config(self) -> NetworkConfig:
        """Return the network.

        Raises:
            UsageError: its layers do not fit one another.
        """
        from edgernn.models.layered.description import NetworkConfig

        config = NetworkConfig.model_validate(
            {
                "family": "module",
                "inputs": ({"name": X, "axes": (BATCH, TIME, CHANNELS)},),
                "sizes": {CHANNELS: self.channels},
                "layers": tuple(self._layers),
                "outputs": {Y: self.last},
                "axes": {Y: (BATCH, TIME, OUTPUTS)},
            }
        )
        config.contract()
        return config
