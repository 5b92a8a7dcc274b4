"""Values that a step leaves to the next: one as it is, and a sum of all."""

from __future__ import annotations

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

VALUE = "value"  # the key of its one state


class KeepOptions(Options):
    """``width`` is W."""

    width: Extent


class Keep(LayerModule):
    """Its input ``[B, 1, W]``, which is also the state ``NAME [B, W]`` after the step, zeros before
    the first: a layer ``before`` that names it gives the one that the last step left. A call takes
    one time step.
    """

    options_kind = KeepOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        place.want(1)
        self.kept = kept_value(place)
        axis, value = self.kept[0].value.axes[-1], place.inputs[0]
        if value.axes[:-1] != (BATCH_AXIS, TIME_AXIS) or place.width() != axis.size:
            raise place.refusal(f"its input is {value.told()}, expected [batch, time, {axis.size}]")
        self.results = {"": value.over(axis)}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (given[0],), (given[0][:, 0],)


def kept_value(place: Place) -> tuple[Kept, ...]:
    """Return the state of the keep layer at ``place``."""
    options: KeepOptions = read_options(place, KeepOptions)
    return (Kept(VALUE, place.layer.name, Value((BATCH_AXIS, place.axis(options.width)))),)


class CanvasOptions(Options):
    """``height`` and ``width`` in pixels."""

    height: Extent
    width: Extent


class Canvas(LayerModule):
    """The sum of its input ``[B, 1, H·W]``, row by row, over all steps so far, ``[B, 1, H, W]``; it
    is also the state ``NAME [B, H, W]`` (Gregor et al. 2015, equation 8,
    https://arxiv.org/abs/1502.04623). A call takes one time step.
    """

    options_kind = CanvasOptions
    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: CanvasOptions = read_options(place, CanvasOptions)
        place.want(1)
        sides = (place.axis(options.height, "height"), place.axis(options.width))
        self.sides = tuple(axis.size or 0 for axis in sides)
        value, pixels = place.inputs[0], self.sides[0] * self.sides[1]
        if value.axes[:-1] != (BATCH_AXIS, TIME_AXIS) or place.width() != pixels:
            raise place.refusal(f"its input is {value.told()}, expected [batch, time, {pixels}]")
        self.kept = (Kept(VALUE, place.layer.name, Value((BATCH_AXIS, *sides))),)
        self.results = {"": Value((BATCH_AXIS, TIME_AXIS, *sides))}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        canvas = state[0] + given[0].reshape(-1, *self.sides)  # [B, H, W]
        return (canvas.unsqueeze(1),), (canvas,)
