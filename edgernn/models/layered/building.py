"""From a description to its layers: each is built where it stands, given what is known of its
inputs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgernn.contract import BATCH, TIME
from edgernn.errors import UsageError
from edgernn.models.layered.layer import LayerModule, Place
from edgernn.models.layered.table import kind_class
from edgernn.models.layered.values import BATCH_AXIS, TIME_AXIS, Axis, Value

if TYPE_CHECKING:
    from edgernn.models.layered.description import Layer, NetworkConfig, Port


@dataclass(frozen=True)
class Built:
    """The layers of both graphs by name, and what is known of every value."""

    encode: dict[str, LayerModule]
    step: dict[str, LayerModule]
    encoded: dict[str, Value]
    stepped: dict[str, Value]

    @property
    def one_step(self) -> bool:
        """Whether some layer can be computed for one time step a call alone."""
        return any(layer.one_step for layer in self.step.values())


def build(config: NetworkConfig) -> Built:
    """Build every layer of ``config``, its parameters drawn anew.

    Raises:
        UsageError: options or inputs do not fit a layer's kind; names it.
    """
    encoded = {port.name: port_value(port, config.sizes) for port in config.given}
    encode = _graph(config, "encode", config.encode, encoded)
    stepped = {port.name: port_value(port, config.sizes) for port in config.inputs}
    for port in config.inputs:
        if stepped[port.name].axes[:2] != (BATCH_AXIS, TIME_AXIS):
            raise UsageError(
                f"the input {port.name} has the axes {list(port.axes)}, expected batch and time "
                "first: a network of layers takes its inputs frame by frame"
            )
    for name, source in config.contexts.items():
        stepped[name] = value_of(encoded, source, f"the context {name}")
    step = _graph(config, "step", config.layers, stepped)
    for layer in encode.values():
        layer.bind(step)
    return Built(encode, step, encoded, stepped)


def value_of(values: dict[str, Value], name: str, asking: str) -> Value:
    """Return what is known of the value ``name``; raise UsageError, naming who asks, where a layer
    has no such part.
    """
    if name not in values:
        layer = name.partition(".")[0]
        parts = [known for known in values if known.startswith(f"{layer}.")]
        raise UsageError(f"{asking} takes {name!r}, but {layer} gives {', '.join([layer, *parts])}")
    return values[name]


def port_value(port: Port, sizes: dict[str, int]) -> Value:
    """Return what is known of an input."""
    axes = tuple(
        Axis(name, None if name in {BATCH, TIME} else sizes.get(name)) for name in port.axes
    )
    if port.below is None:
        return Value(axes, port.dtype)
    if port.below not in sizes:
        raise UsageError(f"the input {port.name} is below {port.below!r}, which sizes has not")
    return Value(axes, port.dtype, Axis(port.below, sizes[port.below]))


def _graph(
    config: NetworkConfig,
    graph: Literal["encode", "step"],
    layers: tuple[Layer, ...],
    values: dict[str, Value],
) -> dict[str, LayerModule]:
    """Build the layers of one graph; ``values`` gets what they give."""
    kinds = Counter(layer.kind for layer in config.layers)
    built: dict[str, LayerModule] = {}
    for layer in layers:
        asking = f"the {layer.kind} layer {layer.name!r}"
        place = Place(
            layer,
            graph,
            tuple(value_of(values, name, asking) for name in layer.inputs),
            config.sizes,
            {other.name: other for other in config.layers},
            built,
            alone=kinds["recurrent"] == 1,
        )
        made = kind_class(layer.kind)(place)
        built[layer.name] = made
        for part, value in made.results.items():
            values[f"{layer.name}.{part}" if part else layer.name] = value
    return built
