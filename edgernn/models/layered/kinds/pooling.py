"""A square grid of regions, pooled to another grid."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import Value


class PoolOptions(Options):
    """``side`` is S, that of the grid which is made."""

    side: int = Field(ge=1, le=64)


class Pool(LayerModule):
    """Regions ``[B, G·G, F]``, row by row of their grid, to ``[B, S·S, F]``: each the mean of the
    regions that it touches, as torch's adaptive average pooling takes it, whatever G and S are.
    """

    options_kind = PoolOptions
    graphs = ("encode",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        side = read_options(place, PoolOptions).side
        place.want(1)
        value = place.inputs[0]
        regions = (value.axes[1].size or 0) if len(value.axes) == 3 else 0
        grid = round(regions**0.5)
        if not regions or grid * grid != regions:
            raise place.refusal(f"its input is {value.told()}, expected a square grid of regions")
        along = means(grid, side)  # [S, G]
        self.register_buffer("means", torch.kron(along, along), persistent=False)  # [SS, GG]
        axes = (value.axes[0], place.axis(side * side, "regions"), value.axes[2])
        self.results = {"": Value(axes)}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (torch.matmul(self.get_buffer("means"), given[0]),), ()  # [B, SS, F]


def means(grid: int, side: int) -> Tensor:
    """Return the weights of G places along one axis in each of S means, ``[S, G]``: mean i is of
    the places from ⌊iG/S⌋ to below ⌈(i+1)G/S⌉.
    """
    rows = [(i * grid // side, -(-(i + 1) * grid // side)) for i in range(side)]
    weights = [
        [1 / (end - start) if start <= at < end else 0.0 for at in range(grid)]
        for start, end in rows
    ]
    return torch.tensor(weights)
