"""What a reduced-precision export is told: how to round, what to calibrate on, and how much may be lost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from edgernn.errors import UsageError
from edgernn.export.blocks import BLOCK_SIZES
from edgernn.export.recipe import Recipe

Feeds = Callable[[], Iterable[Mapping[str, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class Compression:
    """How weights are rounded; for exporters that round themselves.

    Attributes:
        recipe: bits and blocks of each layer, instead of the precision's own.
        block_size: how many values share a scale, instead of the precision's own.
        feeds: gives every input of the step graph on calibration data, call by call; without it each weight is rounded to
            the nearest.
    """

    recipe: Recipe | None = None
    block_size: int | None = None
    feeds: Feeds | None = None

    def __post_init__(self) -> None:
        if self.block_size is not None and self.block_size not in BLOCK_SIZES:
            raise UsageError(f"the block size is {self.block_size}, expected one of {', '.join(map(str, BLOCK_SIZES))}")


@dataclass(frozen=True)
class Budget:
    """How much a reduced precision may lose on held-out data; None leaves it to the precision's own tolerance.

    Attributes:
        perplexity: the largest relative rise of perplexity (0.01 is 1 %).
        cider: the largest relative drop of the CIDEr-D of greedy captions.

    Raises:
        UsageError: a value below 0 or not finite.
    """

    perplexity: float | None = None
    cider: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("perplexity increase", self.perplexity), ("CIDEr drop", self.cider)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"the largest {name} is {value}, expected 0 or more (0.01 or 1% for one in a hundred)")


def share(text: str) -> float:
    """Read ``1%`` or ``0.01``; raise UsageError for anything else."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no share, expected one as 1% or 0.01") from error
