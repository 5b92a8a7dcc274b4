"""One size for each axis of a contract: a name that nobody gave yields to those that were given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from edgernn.hoisting.onnx.axes import Axis, Declared
from edgernn.hoisting.onnx.names import axis_name, unlike

Tensors = Mapping[str, Declared]


def distinct(*groups: tuple[Tensors, Mapping[str, str]]) -> tuple[dict[str, Declared], ...]:
    """Return tensors whose axes have one size each: of axes of two sizes that edgernn called alike,
    as ``layers`` of states of different depth, the later one is called after its tensor and place.

    Args:
        groups: tensors by their names in the graph, and those names in the contract.
    """
    sizes: dict[str, int | None] = {}
    for axis in _axes(groups):
        if not axis.ours:
            sizes.setdefault(axis.name, axis.size)
    called: dict[tuple[str, int | None], str] = {}

    def own(axis: Axis, tensor: str, place: int | str) -> Axis:
        if not axis.ours:
            return axis
        if (key := (axis.name, axis.size)) not in called:
            fits = sizes.get(axis.name, axis.size) == axis.size
            name = axis.name if fits else unlike(axis_name(f"{tensor}_{place}"), sizes)
            sizes[name], called[key] = axis.size, name
        return replace(axis, name=called[key])

    def settled(declared: Declared, tensor: str) -> Declared:
        axes = tuple(own(axis, tensor, place) for place, axis in enumerate(declared.axes))
        below = None if declared.below is None else own(declared.below, tensor, "ids")
        return replace(declared, axes=axes, below=below)

    return tuple(
        {name: settled(declared, names[name]) for name, declared in tensors.items()}
        for tensors, names in groups
    )


def _axes(groups: tuple[tuple[Tensors, Mapping[str, str]], ...]) -> Iterator[Axis]:
    for tensors, _ in groups:
        for declared in tensors.values():
            yield from declared.axes
            if declared.below is not None:
                yield declared.below
