"""Pictures as a step's input, one a time step: to numbers, and from maps to a vector a frame.

Between the layers of a step a frame is a map ``[B, T, C, H, W]``: channels, rows, columns.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Axis, Value

_Figure = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class FramesOptions(Options):
    """``mean`` is taken off and the rest divided by ``deviation``, in the pictures' own units: one
    number for every channel, or one each.
    """

    mean: tuple[_Figure, ...] = Field(default=(127.5,), min_length=1)
    deviation: tuple[_Positive, ...] = Field(default=(127.5,), min_length=1)


class Frames(LayerModule):
    """``(x - mean) / deviation``: pictures ``[B, T, H, W, C]``, uint8 or floats, to maps ``[B, T,
    C, H, W]``, float32.
    """

    options_kind = FramesOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: FramesOptions = read_options(place, FramesOptions)
        value = place.inputs[0] if len(place.inputs) == 1 else Value(())
        sizes = [axis.size for axis in value.axes[2:]]
        fits = value.axes[:2] == (BATCH_AXIS, TIME_AXIS) and len(sizes) == 3 and all(sizes)
        if not fits or not (value.dtype == "uint8" or value.is_float):
            raise place.refusal(
                "it takes pictures, uint8[batch, time, height, width, channels] of known sizes, "
                f"got {value.told()}"
            )
        height, width, channels = value.axes[2:]
        for name in ("mean", "deviation"):
            figures = getattr(options, name)
            if len(figures) not in {1, channels.size}:
                raise place.refusal(
                    f"{name} has {len(figures)} numbers, expected 1 or {channels.size}, one a "
                    "channel"
                )
            wide = torch.tensor(figures).view(-1, 1, 1)
            self.register_buffer(name, wide, persistent=False)  # [1 or C, 1, 1]
        self.results = {"": Value((BATCH_AXIS, TIME_AXIS, channels, height, width))}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        maps = given[0].permute(0, 1, 4, 2, 3).float()  # [B, T, C, H, W]
        return ((maps - self.get_buffer("mean")) / self.get_buffer("deviation"),), ()


class FrameVectorOptions(Options):
    """``by`` is ``flatten``, every number of the map channel by channel, or ``mean``, of each
    channel over the picture.
    """

    by: Literal["flatten", "mean"] = "flatten"


class FrameVector(LayerModule):
    """A map ``[B, T, C, H, W]`` a frame to a vector ``[B, T, F]``, F = C·H·W or C."""

    options_kind = FrameVectorOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.by = read_options(place, FrameVectorOptions).by
        channels, height, width = map_axes(place)
        size = channels.size or 0
        if self.by == "flatten":
            size *= (height.size or 0) * (width.size or 0)
        self.results = {"": Value((BATCH_AXIS, TIME_AXIS, place.axis(size)))}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        flat = given[0].flatten(2) if self.by == "flatten" else given[0].mean((3, 4))
        return (flat,), ()  # [B, T, F]


def map_axes(place: Place) -> tuple[Axis, Axis, Axis]:
    """Return channels, rows and columns of the map that the layer at ``place`` takes; raise
    UsageError where it takes something else.
    """
    place.want(1)
    value = place.inputs[0]
    sizes = [axis.size for axis in value.axes[2:]]
    if value.axes[:2] != (BATCH_AXIS, TIME_AXIS) or len(sizes) != 3 or not all(sizes):
        raise place.refusal(
            f"its input is {value.told()}, expected a map a frame [batch, time, channels, height, "
            "width], as a layer of kind 'frames' gives it"
        )
    channels, height, width = value.axes[2:]
    return channels, height, width


def map_value(place: Place, channels: Axis, height: int, width: int) -> Value:
    """Return what is known of the map that the layer at ``place`` gives."""
    rows, columns = place.axis(height, "rows"), place.axis(width, "columns")
    return Value((BATCH_AXIS, TIME_AXIS, channels, rows, columns))


def as_pictures(maps: Tensor) -> Tensor:
    """Return the maps ``[B, T, C, H, W]`` as pictures ``[B·T, C, H, W]``."""
    return maps.reshape(-1, *sizes_of(maps))


def sizes_of(maps: Tensor) -> list[int]:
    """Return channels, rows and columns of ``maps``, which are the same in every call: numbers, so
    that a traced graph does not ask for them.
    """
    return [int(size) for size in maps.shape[-3:]]


def as_frames(pictures: Tensor, like: Tensor) -> Tensor:
    """Return ``pictures [B·T, C, H, W]`` frame by frame, ``[B, T, C, H, W]``, of the B and T that
    ``like [B, T, …]`` has.
    """
    return pictures.view(like.shape[0], -1, *sizes_of(pictures))
