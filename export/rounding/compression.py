"""What a reduced-precision export is told: how to round, what to calibrate on, and how much may be
lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from edgernn.errors import UsageError
from edgernn.export.rounding.blocks import BLOCK_SIZES
from edgernn.export.rounding.recipe import Recipe
from edgernn.wording import share

Feeds = Callable[[], Iterable[Mapping[str, np.ndarray]]]


@dataclass(frozen=True, eq=False)
class Compression:
    """How weights are rounded; for exporters that round themselves.

    Attributes:
        recipe: bits and blocks of each layer, instead of the precision's own.
        block_size: how many values share a scale, instead of the precision's own.
        feeds: gives every input of the step graph on calibration data, call by call; without it
            each weight is rounded to the nearest.
    """

    recipe: Recipe | None = None
    block_size: int | None = None
    feeds: Feeds | None = None

    def __post_init__(self) -> None:
        if self.block_size is not None and self.block_size not in BLOCK_SIZES:
            raise UsageError(
                f"the block size is {self.block_size}, expected one of "
                f"{', '.join(map(str, BLOCK_SIZES))}"
            )


@dataclass(frozen=True, init=False)
class Budget:
    """How much a reduced precision may lose on held-out data; None leaves it to the precision's own
    tolerance.

    Attributes:
        perplexity: the largest relative rise of perplexity (0.01 is 1 %; what is above 1 is written
            as "150%").
        cider: the largest relative drop of the CIDEr-D of greedy captions.

    Raises:
        UsageError: a value that is no share, see ``edgernn.wording.share``.
    """

    perplexity: float | None = None
    cider: float | None = None

    def __init__(
        self, perplexity: float | str | None = None, cider: float | str | None = None
    ) -> None:
        for field, name, value in (
            ("perplexity", "perplexity increase", perplexity),
            ("cider", "CIDEr drop", cider),
        ):
            try:
                object.__setattr__(self, field, None if value is None else share(value))
            except UsageError as error:
                raise UsageError(f"the largest {name} is {value}: {error}") from error
