"""Layers of ``encode`` over pictures and their regions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from edgernn.contract import BATCH
from edgernn.models.image_encoder import ENCODERS, image_encoder, normalise
from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import BATCH_AXIS, Axis, Value
from edgernn.wording import expected_one_of


def _known_encoder(name: str) -> str:
    if name not in ENCODERS:
        raise ValueError(expected_one_of(name, ENCODERS))
    return name


class ImageOptions(Options):
    """``encoder`` is a row of ``models.image_encoder``."""

    encoder: Annotated[str, AfterValidator(_known_encoder)]


class Image(LayerModule):
    """A picture ``[B, S, S, 3]``, uint8 RGB, to its regions ``[B, R, F]``; the parameters are
    ``encoder.…``, as the image encoder's.
    """

    options_kind = ImageOptions
    graphs = ("encode",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: ImageOptions = read_options(place, ImageOptions)
        value = place.inputs[0] if len(place.inputs) == 1 else Value(())
        sizes = [axis.size for axis in value.axes]
        if value.dtype != "uint8" or value.axes[:1] != (BATCH_AXIS,) or len(sizes) != 4:
            raise place.refusal(
                f"it takes a picture, uint8[{BATCH}, height, width, channels], got {value.told()}"
            )
        side = sizes[1] or 0
        if sizes[1:] != [side, side, 3] or not side:
            raise place.refusal(f"its picture is {value.told()}, expected a square of 3 channels")
        self.encoder = image_encoder(options.encoder, side)
        regions, width = self.encoder.grid**2, self.encoder.width
        axes = (BATCH_AXIS, place.axis(regions, "regions"), place.axis(width))
        self.results = {"": Value(axes)}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        features = self.encoder(normalise(given[0]))  # [B, F, G, G]
        return (features.flatten(2).transpose(1, 2),), ()  # [B, R, F]


class Mean(LayerModule):
    """The mean over regions, or whatever the second axis is: ``[B, R, F]`` to ``[B, F]``."""

    graphs = ("encode",)

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        read_options(place, Options)
        place.want(1)
        value = place.inputs[0]
        if len(value.axes) != 3:
            raise place.refusal(f"its input is {value.told()}, expected [batch, regions, width]")
        axes: tuple[Axis, ...] = (value.axes[0], value.axes[2])
        self.results = {"": Value(axes)}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (given[0].mean(1),), ()
