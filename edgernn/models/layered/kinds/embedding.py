"""The embedding: a row of a matrix for each id."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import nn

from edgernn.contract import ENCODE
from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.errors import UsageError
from edgernn.models.layered.layer import Extent, LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import Value


class EmbeddingOptions(Options):
    """``width`` is E, that of a row. ``of`` names an embedding of the step, whose matrix one of
    ``encode`` uses then. Before training its numbers are drawn from ``-spread`` to ``spread``.
    """

    width: Extent
    of: str | None = None
    spread: float = Field(default=0.1, gt=0, allow_inf_nan=False)


class Embedding(LayerModule):
    """Ids ``[B, T]`` below V to ``[B, T, E]``; the parameter is ``weight [V, E]``, as torch's;
    none of its own with ``of``.
    """

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
        self.of, self.shape = options.of, (rows, width)
        if self.of is not None:
            self._refuse_unknown(place)
            return
        weight = nn.Embedding(rows, width).weight
        nn.init.uniform_(weight, -options.spread, options.spread)
        self.weight = weight

    def _refuse_unknown(self, place: Place) -> None:
        """Raise UsageError where ``of`` is no embedding of the step, seen from ``encode``."""
        described = place.described.items()
        known = [name for name, layer in described if layer.kind == place.layer.kind]
        if place.graph != ENCODE or self.of not in known:
            raise place.refusal(
                f"of is {self.of!r}, expected, in {ENCODE}, an embedding of the step: {known}"
            )

    def bind(self, step: Mapping[str, LayerModule]) -> None:
        """See ``LayerModule.bind``."""
        if self.of is None:
            return
        found = step[self.of]
        assert isinstance(found, Embedding)
        if found.shape != self.shape:
            raise UsageError(
                f"the embedding {self.place_name!r} needs a matrix {list(self.shape)}, and that of "
                f"{self.of!r}, which it uses, is {list(found.shape)}"
            )
        self.shares = (found,)

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        for layer in self.shares:
            made: Tensors = layer(given, state)[0]  # called, by which exporters see what runs
            return made, ()
        return (nn.functional.embedding(given[0], self.weight),), ()  # [B, T, E]
