"""The sizes at which a foreign graph is looked at, and what goes in there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgernn.contract import BATCH, TIME
from edgernn.hoisting.onnx.axes import Declared
from edgernn.hoisting.onnx.running import drawn

Sizes = Mapping[str, int]
_PROBES: tuple[Sizes, ...] = (  # no two axes alike, products neither, ones among them
    {BATCH: 1, TIME: 1},
    {BATCH: 2, TIME: 3},
    {BATCH: 3, TIME: 7},
)


def probes_of(declared: Mapping[str, Declared]) -> tuple[Sizes, ...]:
    """Return sizes of the axes that are open in some input."""
    axes = {axis.name for own in declared.values() for axis in own.axes if axis.size is None}
    found: list[Sizes] = []
    for probe in _PROBES:
        sizes = {axis: size for axis, size in probe.items() if axis in axes}
        if sizes not in found:
            found.append(sizes)
    return tuple(found)


def feeds(declared: Mapping[str, Declared], sizes: Sizes, seed: int = 0) -> dict[str, np.ndarray]:
    """Return drawn values of every input at ``sizes`` of the open axes."""
    random = np.random.default_rng(seed)
    return {name: drawn(own, own.shape(sizes), random) for name, own in declared.items()}
