"""The stroke: a soft line that a pen leaves on a canvas (Ganin et al. 2018,
https://arxiv.org/abs/1804.01118, draw with such a pen, by a program that has no gradient; here the
line is a smooth function of where the pen goes).
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.models.layered.kinds.keeping import VALUE
from edgernn.models.layered.layer import (
    Extent,
    Kept,
    LayerModule,
    Options,
    Place,
    Tensors,
    read_options,
)
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Value

_POINT, _PRESSURE = 2, 2  # the widths of a point, and of what says how it is drawn
_SHORTEST = 1e-2  # what a squared length has added, pixels²: a line that goes nowhere is a dot
_SOFTEST, _HARDEST = 0.2, 2.0  # 1 / (2 σ²) of a line's profile, 1 / pixels²


class StrokeOptions(Options):
    """``height`` and ``width`` of the canvas in pixels."""

    height: Extent
    width: Extent


class Stroke(LayerModule):
    r"""Draw a line from the point a to the point b, ``[B, 1, 2]`` each, as the pressure ``[B, 1,
    2]`` of two numbers from 0 to 1 has it; gives the canvas after it, ``[B, 1, H, W]``, which is
    also the state ``NAME [B, H, W]``, zeros before the first step. A call takes one time step.

    Points are (y, x): -1 is the centre of the first pixel, 1 that of the last. In pixels, with the
    ink k and the hardness s of the pressure::

        t_p = clip((p - a)·(b - a) / (|b - a|² + 0.01), 0, 1)      the nearest place on the line
        w_p = k · exp(-(0.2 + 1.8 s) |p - a - t_p (b - a)|²)
        canvas_p = 1 - (1 - canvas_p) (1 - w_p)

    so a canvas stays from 0 to 1. It has no parameters.
    """

    options_kind = StrokeOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: StrokeOptions = read_options(place, StrokeOptions)
        place.want(3)
        for value, width in zip(place.inputs, (_POINT, _POINT, _PRESSURE), strict=True):
            if value.axes[:-1] != (BATCH_AXIS, TIME_AXIS) or value.width != width:
                raise place.refusal(
                    f"it takes two points and a pressure, expected [batch, time, {width}], got "
                    f"{value.told()}"
                )
        sides = (place.axis(options.height, "height"), place.axis(options.width))
        height, width = (axis.size or 0 for axis in sides)
        self.kept = (Kept(VALUE, place.layer.name, Value((BATCH_AXIS, *sides))),)
        self.results = {"": Value((BATCH_AXIS, TIME_AXIS, *sides))}
        self.middle = ((height - 1) / 2, (width - 1) / 2)
        # of each pixel from the middle: [H, 1] and [1, W]
        down = torch.arange(height, dtype=torch.float32)[:, None] - self.middle[0]
        across = torch.arange(width, dtype=torch.float32)[None] - self.middle[1]
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("across", across, persistent=False)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        start, end, pressure = given
        ink, hardness = pressure[..., :1], pressure[..., 1:]  # [B, 1, 1]
        sharp = hardness * (_HARDEST - _SOFTEST) + _SOFTEST
        from_y, y = self._axis(0, start, end)  # [B, 1, 1], the place and the way
        from_x, x = self._axis(1, start, end)
        down = self.get_buffer("down") - from_y  # [B, H, 1]
        across = self.get_buffer("across") - from_x  # [B, 1, W]
        along = 1.0 / (y * y + x * x + _SHORTEST)  # [B, 1, 1]
        nearest = (down * (y * along) + across * (x * along)).clamp(0.0, 1.0)  # [B, H, W]
        off_y, off_x = down - nearest * y, across - nearest * x
        drawn = ink * torch.exp((off_y * off_y + off_x * off_x) * -sharp)
        canvas = 1.0 - (1.0 - state[0]) * (1.0 - drawn)
        return (canvas.unsqueeze(1),), (canvas,)

    def _axis(self, axis: int, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """Return the line's start from the middle and how far it goes, in pixels of an axis."""
        middle = self.middle[axis]
        first, last = (point[..., axis : axis + 1] * middle for point in (start, end))
        return first, last - first
