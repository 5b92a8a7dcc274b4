"""Pooling over the picture of each frame."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from torch.nn import functional

from edgernn.models.layered.kinds.frames import as_frames, as_pictures, map_axes, map_value
from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options


class FramePoolOptions(Options):
    """``kernel`` and ``stride`` are in pixels; the stride is the kernel where it is not given."""

    by: Literal["max", "mean"] = "max"
    kernel: int = Field(default=2, ge=1, le=64)
    stride: int | None = Field(default=None, ge=1, le=64)


class FramePool(LayerModule):
    """The largest value or the mean of each window of K × K of a map: ``[B, T, C, H, W]`` to ``[B,
    T, C, H', W']``, ``H' = ⌊(H - K) / S⌋ + 1``.
    """

    options_kind = FramePoolOptions
    graphs = ("step",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: FramePoolOptions = read_options(place, FramePoolOptions)
        channels, height, width = map_axes(place)
        self.kernel, self.stride = options.kernel, options.stride or options.kernel
        sides = [axis.size or 0 for axis in (height, width)]
        if self.kernel > min(sides):
            raise place.refusal(f"its kernel is {self.kernel}, wider than the picture {sides}")
        self.pool = functional.max_pool2d if options.by == "max" else functional.avg_pool2d
        made = [(side - self.kernel) // self.stride + 1 for side in sides]
        self.results = {"": map_value(place, channels, *made)}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        y = self.pool(as_pictures(given[0]), self.kernel, self.stride)  # [B·T, C, H', W']
        return (as_frames(y, given[0]),), ()
