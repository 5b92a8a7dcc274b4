"""The embedding: a row of a matrix for each id."""

from __future__ import annotations

from torch import nn

from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.models.layered.layer import Extent, LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import Value


class EmbeddingOptions(Options):
    """``width`` is E, that of a row."""

    width: Extent


class Embedding(LayerModule):
    """Ids ``[B, T]`` below V to ``[B, T, E]``; the parameter is ``weight [V, E]``, as torch's."""

    options_kind = EmbeddingOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options = read_options(place, EmbeddingOptions)
        if len(place.inputs) != 1 or place.inputs[0].below is None:
            told = ", ".join(value.told() for value in place.inputs) or "nothing"
            raise place.refusal(f"it takes ids, an input with below, got {told}")
        ids, axis = place.inputs[0], place.axis(options.width)
        assert ids.below is not None
        rows, width = ids.below.size or 0, axis.size or 0
        if rows * width > 16 * MOST_ELEMENTS:
            raise place.refusal(f"its matrix has {rows:,} x {width:,} values, which is too many")
        self.results = {"": Value((*ids.axes, axis))}
        weight = nn.Embedding(rows, width).weight
        nn.init.uniform_(weight, -0.1, 0.1)
        self.weight = weight

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (nn.functional.embedding(given[0], self.weight),), ()  # [B, T, E]
