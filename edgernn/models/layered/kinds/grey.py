"""A grey picture of ``encode`` as numbers."""

from __future__ import annotations

from torch import Tensor

from edgernn.contract import BATCH
from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, Value

_WHITE = 255.0


class Grey(LayerModule):
    """A picture ``[B, H, W, 1]``, uint8, 0 black, to ``[B, H, W]``, parts of 255."""

    graphs = ("encode",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        read_options(place, Options)
        value = place.inputs[0] if len(place.inputs) == 1 else Value(())
        sizes = [axis.size for axis in value.axes]
        fits = len(sizes) == 4 and sizes[1] and sizes[2] and sizes[3] == 1
        if value.dtype != "uint8" or value.axes[:1] != (BATCH_AXIS,) or not fits:
            raise place.refusal(
                f"it takes a grey picture, uint8[{BATCH}, height, width, channels=1], of a stated "
                f"size, got {value.told()}"
            )
        self.results = {"": Value(value.axes[:3])}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        picture: Tensor = given[0][..., 0].float() * (1.0 / _WHITE)  # [B, H, W]
        return (picture,), ()
