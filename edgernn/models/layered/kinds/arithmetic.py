"""Sums, products, joins and parts of vectors.

Where one input has fewer axes than another, as a context ``[B, W]`` beside ``[B, T, W]``, it is the
same for all of the other's places.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from pydantic import Field
from torch import Tensor

from edgernn.models.layered.layer import LayerModule, Options, Place, Tensors, read_options
from edgernn.models.layered.values import Value

_MOST = 64  # inputs


class Combined(LayerModule):
    """What is made number by number of two inputs or more of one width; a width of 1 serves all."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        read_options(place, Options)
        place.want(2, most=_MOST)
        widths = {place.width(index) for index in range(len(place.inputs))}
        if len(widths - {1}) > 1:
            raise place.refusal(f"its inputs have the widths {sorted(widths)}, expected one")
        longest = most_axes(place.inputs)
        widest = max(place.inputs, key=lambda value: value.width)
        self.results = {"": longest.over(widest.axes[-1])}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (reduce(self.combine, alike(given)),), ()

    def combine(self, x: Tensor, y: Tensor) -> Tensor:
        """Return what is made of two."""
        raise NotImplementedError


class Add(Combined):
    """The sum of its inputs."""

    def combine(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Combined.combine``."""
        return x + y


class Multiply(Combined):
    """The product of its inputs, number by number."""

    def combine(self, x: Tensor, y: Tensor) -> Tensor:
        """See ``Combined.combine``."""
        return x * y


class Concat(LayerModule):
    """Its inputs, joined along the last axis."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        read_options(place, Options)
        place.want(2, most=_MOST)
        width = sum(place.width(index) for index in range(len(place.inputs)))
        self.results = {"": most_axes(place.inputs).over(place.axis(width))}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        longest = max(given, key=Tensor.dim)
        shaped = [
            x.expand(*longest.shape[:-1], -1) if own.dim() < longest.dim() else own
            for own, x in zip(given, alike(given), strict=True)
        ]
        return (torch.cat(shaped, -1),), ()


class ScaleOptions(Options):
    """``factor`` and ``offset``: one number each, for all."""

    factor: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)


class Scale(LayerModule):
    """``factor · x + offset``; see ``normalise`` for a number each of a vector."""

    options_kind = ScaleOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.options: ScaleOptions = read_options(place, ScaleOptions)
        place.want(1)
        self.results = {"": place.inputs[0]}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        y = given[0] * self.options.factor
        return (y + self.options.offset if self.options.offset else y,), ()


class SliceOptions(Options):
    """From the place ``start`` on, ``width`` numbers."""

    start: int = Field(default=0, ge=0)
    width: int = Field(ge=1)


class Slice(LayerModule):
    """A part of each vector."""

    options_kind = SliceOptions

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        options: SliceOptions = read_options(place, SliceOptions)
        place.want(1)
        self.start, self.end = options.start, options.start + options.width
        if self.end > place.width():
            raise place.refusal(f"it ends at {self.end}, its input has {place.width()} numbers")
        self.results = {"": place.inputs[0].over(place.axis(options.width))}

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """See ``LayerModule.forward``."""
        return (given[0][..., self.start : self.end],), ()


def most_axes(values: Sequence[Value]) -> Value:
    """Return the first of those with the most axes."""
    return max(values, key=lambda value: len(value.axes))


def alike(given: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors with as many axes each: new ones come after the batch."""
    most = max(tensor.dim() for tensor in given)
    return [tensor[(slice(None), *[None] * (most - tensor.dim()))] for tensor in given]
