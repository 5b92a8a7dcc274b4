"""The linear layer, with or without bias and a function after it; its matrix may be an embedding's
(Press & Wolf 2017; Inan et al. 2017).
"""

from __future__ import annotations

from torch import nn

from edgernn.models.activations import ACTIVATIONS, Activation
from edgernn.models.layered.kinds.embedding import Embedding
from edgernn.models.layered.layer import Extent, LayerModule, Options, Place, Tensors, read_options


class LinearOptions(Options):
    """``width`` is that of the result; ``tied`` names an embedding whose matrix it shares, and
    then ``width`` is the embedding's number of rows.
    """

    width: Extent
    bias: bool = True
    activation: Activation | None = None
    tied: str | None = None


class Linear(LayerModule):
    """``f(W x + b)`` over the last axis: ``[…, I]`` to ``[…, O]``; the parameters are ``weight [O,
    I]`` and ``bias [O]``, as torch's.
    """

    options_kind = LinearOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options = read_options(place, LinearOptions)
        place.want(1)
        axis, inputs = place.axis(options.width), place.width()
        self.results = {"": place.inputs[0].over(axis)}
        linear = nn.Linear(inputs, axis.size or 0, bias=options.bias)
        if options.tied is not None:
            linear.weight = _shared(place, options.tied, (axis.size or 0, inputs))
        self.weight = linear.weight
        self.bias = linear.bias
        self.function = None if options.activation is None else ACTIVATIONS[options.activation]

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        y = nn.functional.linear(given[0], self.weight, self.bias)  # […, O]
        return (y if self.function is None else self.function(y),), ()


def _shared(place: Place, name: str, shape: tuple[int, int]) -> nn.Parameter:
    found = place.built.get(name)
    if not isinstance(found, Embedding):
        known = [key for key, layer in place.built.items() if isinstance(layer, Embedding)]
        raise place.refusal(f"it is tied to {name!r}, expected an embedding before it, of {known}")
    own = tuple(found.weight.shape)
    if own != shape:
        raise place.refusal(
            f"it needs a matrix {list(shape)}, and that of {name!r}, to which it is tied, is "
            f"{list(own)}"
        )
    weight: nn.Parameter = found.weight  # type: ignore[assignment]
    return weight
