"""What every kind of layer is: made from its options and from what is known of its inputs, it
says what it gives and keeps, and computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, ValidationError
from torch import Tensor, nn

from edgernn.contract import Record, first_line
from edgernn.contract.spec import AxisName, Size
from edgernn.errors import UsageError
from edgernn.models.layered.values import Axis, Value

if TYPE_CHECKING:
    from edgernn.models.layered.description import Layer

Tensors = tuple[Tensor, ...]
Extent = (
    Size | AxisName
)  # a size, or the name of an axis of ``sizes``, which the result's axis gets
MAX_WIDTH = 1 << 20  # so that no product of sizes leaves 64 bits


class Options(Record):
    """The options of a kind that has none; a kind's own are a subclass."""


@dataclass(frozen=True)
class Place:
    """Where a layer stands: what its class is given to be built.

    Attributes:
        layer: its description.
        graph: ``encode`` or ``step``.
        inputs: what is known of its inputs, in order.
        sizes: the sizes that the description names.
        described: every layer of the step by name, also those that come later.
        built: the layers before it in its graph.
        alone: whether no other layer of its kind is in the step.
    """

    layer: Layer
    graph: Literal["encode", "step"]
    inputs: tuple[Value, ...]
    sizes: Mapping[str, int]
    described: Mapping[str, Layer]
    built: Mapping[str, LayerModule] = field(default_factory=dict)
    alone: bool = True

    def axis(self, extent: Extent, name: str = "width") -> Axis:
        """Return the axis of an option: a named one of ``sizes``, or one of its own, called after
        the layer and ``name``.
        """
        if isinstance(extent, str):
            if extent not in self.sizes:
                raise self.refusal(f"{name} is the axis {extent!r}, which sizes has not")
            size, own = self.sizes[extent], extent
        else:
            size, own = extent, f"{self.layer.name}_{name}"
        if size > MAX_WIDTH:
            raise self.refusal(f"{name} is {size:,}, expected {MAX_WIDTH:,} or less")
        return Axis(own, size)

    def refusal(self, problem: str) -> UsageError:
        """Return the error that says what is wrong with this layer."""
        return UsageError(f"the {self.layer.kind} layer {self.layer.name!r}: {problem}")

    def want(self, count: int, *, most: int | None = None, floats: int | None = None) -> None:
        """Raise UsageError where the layer has another number of inputs, or one that is no vector
        of floats, of the first ``floats`` of them where that is given.
        """
        if not count <= len(self.inputs) <= (most or count):
            told = f"{count}" if most in {None, count} else f"{count} to {most}"
            raise self.refusal(f"it takes {told} inputs, got {len(self.inputs)}")
        named = zip(self.layer.inputs, self.inputs, strict=True)
        for name, value in [*named][:floats]:
            if not value.is_float or len(value.axes) < 2:
                raise self.refusal(
                    f"its input {name} is {value.told()}, expected vectors of floats"
                )

    def width(self, place: int = 0) -> int:
        """Return the width of an input; raise UsageError where it is open."""
        value = self.inputs[place]
        if not value.width:
            raise self.refusal(
                f"the last axis of its input {value.told()} has no size; give it one in sizes"
            )
        return value.width


@dataclass(frozen=True)
class Kept:
    """A state of a layer.

    Attributes:
        key: what the layer calls it: ``h``, ``c``, ``past``.
        name: what the contract calls it.
        value: its axes and dtype.
        stored: whether its first value is among the layer's parameters, else zeros.
    """

    key: str
    name: str
    value: Value
    stored: bool = False


class LayerModule(nn.Module):
    """One layer. Subclasses set ``options_kind`` and ``graphs``, make their parameters, set
    ``results`` and implement ``forward``; those with a state also set ``kept`` and
    ``first_value``.

    Attributes:
        graphs: where it may stand.
        results: what it gives: ``""`` the value of the layer's name, ``PART`` that of
            ``NAME.PART``, in the order in which ``forward`` returns them.
        kept: its states.
        one_step: whether it can be computed for one time step a call alone.
        open_time: whether a traced graph of it takes any number of time steps.
        sources: the values that ``forward`` is given, by name.
        shares: of a layer of ``encode``, the layers of the step whose parameters it uses, too.
    """

    options_kind: ClassVar[type[Options]] = Options
    graphs: ClassVar[tuple[str, ...]] = ("encode", "step")
    results: dict[str, Value]
    kept: tuple[Kept, ...] = ()
    one_step: bool = False
    shares: tuple[LayerModule, ...] = ()  # no submodules: their parameters are the step's

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.sources: tuple[str, ...] = place.layer.inputs
        self.place_name = place.layer.name
        if place.graph not in self.graphs:
            raise place.refusal(f"it stands in {place.graph}, expected {' or '.join(self.graphs)}")

    @property
    def open_time(self) -> bool:
        """Whether a traced graph of it takes any number of time steps."""
        return not self.one_step

    def forward(self, given: Tensors, state: Tensors) -> tuple[Tensors, Tensors]:
        """Compute the layer.

        Args:
            given: the values of ``sources``.
            state: its states before, in the order of ``kept``.

        Returns:
            Its results, and its states after.
        """
        raise NotImplementedError

    def first_value(self, key: str) -> Tensor:
        """Return the stored first value of the state ``key``, one row."""
        raise NotImplementedError

    def latest(self, state: Tensors) -> Tensor:
        """Return of a layer over time what it holds of the last time step, ``[B, H]``, given its
        states after it in the order of ``kept``.
        """
        raise NotImplementedError

    def step_face(self) -> None:
        """Write it in the operators of one time step, in place."""

    def in_products(self) -> None:
        """Write what its step face multiplies in other words as products with a matrix, in place;
        see ``RecurrentModel.in_products``.
        """

    def restrict(self) -> None:
        """See ``RecurrentModel.restrict``."""

    def bind(self, step: Mapping[str, LayerModule]) -> None:
        """Hear of the step's layers, once all are built."""


def read_options(place: Place, kind: type[Any]) -> Any:
    """Return the layer's options as ``kind``; raise UsageError naming the one that does not fit."""
    try:
        return kind.model_validate(place.layer.options)
    except ValidationError as error:
        raise place.refusal(f"option {first_line(error)}") from error


Width = Field(description="a size, or the name of an axis of sizes")
