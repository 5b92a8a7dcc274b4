"""A row of layers that takes frames ``x [B, T, channels]`` and gives ``y [B, T, outputs]``, written
layer by layer: what importers of sound and of control have in common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.contract import BATCH, TIME
from edgernn.importers.sketch import Sketch

if TYPE_CHECKING:
    from edgernn.models.cells.blocks import Block
    from edgernn.models.layered.description import NetworkConfig

X, Y, CHANNELS, OUTPUTS = "x", "y", "channels", "outputs"


class Row:
    """Writes one layer after another; each takes what the one before gives, unless it is told
    otherwise.

    Attributes:
        sketch: what was written so far.
        channels: how many numbers a frame of x has.
        width: of what the last layer gives.
        last: the name of that value.
    """

    def __init__(self, channels: int) -> None:
        self.sketch = Sketch()
        self.channels = self.width = channels
        self.last = self.sketch.takes_frames(X, channels, axis=CHANNELS)

    def layer(
        self,
        kind: str,
        *inputs: str,
        gives: int | None = None,
        tensors: Mapping[str, np.ndarray] | None = None,
        **options: Any,
    ) -> str:
        """Add a layer; return its name.

        Args:
            kind: a row of ``models.layered.table``.
            inputs: the values that it takes; by default the last.
            gives: the width of what it gives; None where that of what it takes stays.
            tensors: its parameters by their own names.
            options: of the kind.
        """
        name, taken = self.sketch.numbered(kind), inputs or (self.last,)
        return self._ended(self.sketch.add(kind, name, *taken, tensors=tensors, **options), gives)

    def recurrent(
        self, cell: str, blocks: Sequence[Block], first: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Add recurrent layers of one width; ``first`` are their stored first states ``[L, H]``."""
        name = self.sketch.numbered("recurrent")
        self.sketch.recurrent(name, cell, blocks, self.last, first=first)
        self._ended(name, int(blocks[0].w_hh.shape[1]))

    def linear(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        """Add ``W x + b``: ``weight [O, I]``, ``bias [O]`` or none."""
        name = self.sketch.linear(self.sketch.numbered("linear"), self.last, weight, bias)
        self._ended(name, len(weight))

    def gain(self, decibels: float) -> None:
        """Multiply by ``10^(dB/20)``."""
        if decibels:
            self.layer("scale", factor=float(10.0 ** (decibels / 20)))

    def part(self, start: int, width: int, of: str) -> str:
        """Add a part of the value ``of``; return its name."""
        return self.layer("slice", of, gives=width, start=start, width=width)

    def config(self) -> NetworkConfig:
        """Return the network.

        Raises:
            UsageError: its layers do not fit one another.
        """
        self.sketch.axes[Y] = (BATCH, TIME, OUTPUTS)
        return self.sketch.config("module", {Y: self.last})

    def _ended(self, name: str, width: int | None) -> str:
        self.last, self.width = name, self.width if width is None else width
        return name
