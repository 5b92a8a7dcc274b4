"""The step graph as it is written: inputs, states, calls, and sizes read from the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.hoisting.stream import Moment, Stream


class ClosedTimeError(Exception):
    """The step graph cannot take any number of frames in a call."""


@dataclass(eq=False)
class StateSlot:
    """A state that was found.

    Attributes:
        name: unique in the network, made of the module's own paths.
        where: what holds it, in words.
        node: its placeholder in the step graph.
        first: its first value with the rows of the capture.
        batch: the axis that holds rows, or None where it is one for all of them.
        next: what it becomes.
        encoded: the node of the capture that gives the first value, where encode makes it.
    """

    name: str
    where: str
    node: fx.Node
    first: Tensor
    batch: int | None
    next: fx.Node | None = None
    encoded: fx.Node | None = None


class Writer:
    """Writes a graph; ``states`` fills on the way."""

    def __init__(self, measured: Mapping[str, int], frames: int | None) -> None:
        """
        Args:
            measured: axis → its size in the capture.
            frames: frames of a call, or None where a call may hold any number of them.
        """
        self.measured, self.frames = dict(measured), frames
        self.graph = fx.Graph()
        self.states: list[StateSlot] = []
        self._last_input: fx.Node | None = None
        self._lengths: dict[str, fx.Node] = {}
        self._inputs: list[tuple[fx.Node, str, int]] = []  # placeholder, axis, dimension

    def placeholder(self, name: str) -> fx.Node:
        """Add an input; inputs come before everything else."""
        if self._last_input is None:
            self._last_input = self.graph.placeholder(name)
        else:
            with self.graph.inserting_after(self._last_input):
                self._last_input = self.graph.placeholder(name)
        return self._last_input

    def stream_input(self, name: str, seen: Tensor, dim: int, batch: int | None) -> Stream:
        """Add an input with a time axis."""
        node = self.placeholder(name)
        self._inputs += [(node, "time", dim)] + ([] if batch is None else [(node, "batch", batch)])
        return Stream(node, seen, dim)

    def moment_input(self, name: str, seen: Tensor, batch: int | None, *, held: bool) -> Moment:
        """Add an input without a time axis: state that the caller names, or one frame."""
        node = self.placeholder(name)
        self._inputs += [] if batch is None else [(node, "batch", batch)]
        return Moment(node, seen, held=held)

    def state(self, hint: str, where: str, first: Tensor, batch: int | None) -> StateSlot:
        """Add a state with its first value (with the capture's rows); what begins at infinity, as
        the largest so far does, begins at the largest number there is, which files can hold.
        """
        if first.is_floating_point():
            ends = torch.finfo(first.dtype)
            first = first.clamp(ends.min, ends.max)
        names = {slot.name for slot in self.states}
        name = next(n for n in _numbered(hint) if n not in names)
        node = self.placeholder(name)
        self._inputs += [] if batch is None else [(node, "batch", batch)]
        slot = StateSlot(name, where, node, first, batch)
        self.states.append(slot)
        return slot

    def call(self, target: Any, *args: Any, like: fx.Node | None = None, **kwargs: Any) -> fx.Node:
        """Add a call to the step graph."""
        node = self.graph.call_function(target, args, kwargs)
        if like is not None:
            node.meta = {"stack_trace": like.meta.get("stack_trace")}
        return node

    def size(self, axis: str) -> int | fx.Node:
        """Return the size of an axis in a call: a number, or a node that reads it from an input."""
        if axis == "time" and self.frames is not None:
            return self.frames
        if axis not in self._lengths:
            place = next(((n, d) for n, a, d in self._inputs if a == axis), None)
            if place is None:
                return self.measured[axis]
            node = self.graph.call_method("size", place)
            self._lengths[axis] = node
        return self._lengths[axis]


def _numbered(hint: str) -> Any:
    yield hint
    at = 2
    while True:
        yield f"{hint}_{at}"
        at += 1
