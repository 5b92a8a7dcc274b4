"""The glimpse: crops of a picture around one location, each coarser and wider than the one before
(Mnih et al. 2014, https://arxiv.org/abs/1406.6247).
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Value

_MOST_SIDE = 64


class GlimpseOptions(Options):
    """``side`` is G, that of a crop in samples; ``strides`` are the pixels between samples of each
    crop, the finest first.
    """

    side: int = Field(ge=1, le=_MOST_SIDE)
    strides: Annotated[
        tuple[Annotated[int, Field(ge=1, le=_MOST_SIDE)], ...], Field(min_length=1, max_length=8)
    ]


class Glimpse(LayerModule):
    r"""A picture ``[B, H, W]`` and a location ``[B, 1, 2]`` to its K crops, ``[B, 1, K·G·G]``.

    The location is (y, x): -1 is the centre of the first pixel, 1 that of the last. Of the crop
    with stride s the sample (i, j) is::

        p_i = (y + 1)/2 · (H - 1) + (i - (G - 1)/2) · s           q_j likewise of x and W
        crop_ij = Σ_mn max(0, 1 - |m - p_i|/s)/s · max(0, 1 - |n - q_j|/s)/s · picture_mn

    which is bilinear interpolation where s is 1, and of a picture smoothed by a tent elsewhere;
    beyond the picture all is 0. It is two products with matrices made from the location, so every
    format has its operators. It has no parameters. A call takes one time step.
    """

    options_kind = GlimpseOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: GlimpseOptions = read_options(place, GlimpseOptions)
        place.want(2)
        _, location = place.inputs
        height, width = _sides(place)
        if not location.timed or place.width(1) != 2:
            raise place.refusal(f"its location is {location.told()}, expected [batch, time, 2]")
        self.results = {
            "": Value(
                (BATCH_AXIS, TIME_AXIS, place.axis(len(options.strides) * options.side**2)),
            )
        }
        self.middle = ((height - 1) / 2, (width - 1) / 2)
        strides = torch.tensor(options.strides, dtype=torch.float32).repeat_interleave(
            options.side
        )  # [K G]
        steps = torch.arange(options.side) - (options.side - 1) / 2  # [G]
        offsets = steps.repeat(len(options.strides)) * strides  # [K G]
        self.crops, self.side, self.width = len(options.strides), options.side, width
        for name, size, middle in zip(
            ("rows", "columns"), (height, width), self.middle, strict=True
        ):
            # |m - p| / s, but for the location: (m - middle - offset) / s
            places = torch.arange(size) - middle - offsets[:, None]  # [K G, size]
            self.register_buffer(name, places / strides[:, None], persistent=False)
        self.register_buffer("inverse", 1 / strides[:, None], persistent=False)  # [K G, 1]

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        picture, location = given  # [B, H, W], [B, 1, 2]
        down = self._weights("rows", location[..., :1] * self.middle[0])  # [B, K G, H]
        across = self._weights("columns", location[..., 1:] * self.middle[1])  # [B, K G, W]
        seen = torch.bmm(down, picture)  # [B, K G, W]
        seen = seen.reshape(-1, self.side, self.width)  # [B K, G, W]
        across = across.reshape(-1, self.side, self.width)
        crops = torch.bmm(seen, across.transpose(1, 2))  # [B K, G, G]
        return (crops.reshape(-1, 1, self.crops * self.side**2),), ()

    def _weights(self, name: str, away: Tensor) -> Tensor:
        """Return the weight of each pixel of an axis in each sample, ``[B, K G, size]``; ``away [B,
        1, 1]`` is the location in pixels from the middle.
        """
        inverse = self.get_buffer("inverse")
        distance = (self.get_buffer(name) - away * inverse).abs()  # [B, K G, size]
        return torch.relu(1.0 - distance) * inverse


def _sides(place: Place) -> tuple[int, int]:
    """Return H and W of the picture; raise UsageError where it is none."""
    value = place.inputs[0]
    sizes = [axis.size or 0 for axis in value.axes]
    if value.timed or len(sizes) != 3 or not all(sizes[1:]):
        raise place.refusal(
            f"its picture is {value.told()}, expected a context [batch, height, width] of a "
            "stated size"
        )
    return sizes[1], sizes[2]
