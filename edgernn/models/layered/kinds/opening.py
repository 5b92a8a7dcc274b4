"""What a network is told at its first step in place of that step's own input."""

from __future__ import annotations

from torch import Tensor

from edgernn.contract import BATCH
from edgernn.models.layered.layer import Kept, LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, Axis, Value


class Opening(LayerModule):
    """A context ``[B, W]`` at the first step of a sequence, the step's own ``[B, 1, W]`` after it.

    The state ``NAME_begun [B, 1]`` is 0 before the first step and 1 from then on::

        y = begun ⊙ x + (1 - begun) ⊙ context    begun' = max(begun, 1)

    Upstream's captioners decode so where the picture is the first word: the scores of the first
    step are those of the picture alone. A call takes one time step.
    """

    graphs = ("step",)
    one_step = True

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        read_options(place, Options)
        place.want(2)
        context, own = place.inputs
        if context.timed or len(context.axes) != 2 or not own.timed:
            raise place.refusal(
                f"its inputs are {context.told()} and {own.told()}, expected a context [{BATCH}, "
                "width] and a value of each step"
            )
        if place.width(0) != place.width(1):
            raise place.refusal(
                f"its inputs have the widths {place.width(0)} and {place.width(1)}, expected one"
            )
        name = f"{place.layer.name}_begun"
        self.kept = (Kept("begun", name, Value((BATCH_AXIS, Axis(f"{name}_width", 1)))),)
        self.results = {"": own}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        context, x = given
        begun = state[0].unsqueeze(1)  # [B, 1, 1]
        y: Tensor = begun * x + (1.0 - begun) * context.unsqueeze(1)  # [B, 1, W]
        return (y,), (state[0].clamp(min=1.0),)
