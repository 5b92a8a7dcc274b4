"""Dropout (Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html): it acts in
training, and files have nothing of it.
"""

from __future__ import annotations

from pydantic import Field
from torch import nn

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options


class DropoutOptions(Options):
    """``share`` of the numbers is set to zero in training, the others are divided by 1 - share."""

    share: float = Field(ge=0, lt=1)


class Dropout(LayerModule):
    """Its input; in training with a share of the numbers dropped."""

    options_kind = DropoutOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: DropoutOptions = read_options(place, DropoutOptions)
        place.want(1)
        self.share = options.share
        self.results = {"": place.inputs[0]}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        if not self.training:
            return (given[0],), ()
        return (nn.functional.dropout(given[0], self.share),), ()
