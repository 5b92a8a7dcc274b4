"""A call taken over as the step: of a network that already steps, once its state is an argument."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import fx

from edgernn.hoisting.copier import Copier
from edgernn.hoisting.nodes import known
from edgernn.hoisting.sizes import Length


class PlainBuilder(Copier):
    """Copies a capture node by node; numbers that hang on sizes are read from the inputs."""

    def number(self, length: Any) -> Any:
        """See ``Copier.number``; what a call brings is all there is, so the base counts too."""
        if not isinstance(length, Length):
            return length
        sizes = {axis: self.size(axis) for axis in length.axes}
        fixed = {axis: size for axis, size in sizes.items() if isinstance(size, int)}
        if fixed == sizes:
            return length.at(fixed)
        made = super().number(Length(length.axes, length.per))
        return made + length.base if isinstance(made, int) else self._plus(made, length.base)

    def _plus(self, node: fx.Node, base: int) -> fx.Node:
        return self.call(operator.add, node, base) if base else node

    def write(self, outputs: Sequence[fx.Node]) -> list[fx.Node]:
        """Copy what ``outputs`` of the capture are made of; return the copies."""
        needed, pending = set(), list(outputs)
        while pending:
            node = pending.pop()
            if node not in needed:
                needed.add(node)
                pending += [] if node in self.encoded else node.all_input_nodes
        ordered = [node for node in self.capture.nodes if node in needed]
        for node in sorted(ordered, key=lambda node: node not in self.encoded):
            self.constant(node)  # contexts first, for sizes are read from them, too
        return [self.constant(node) for node in outputs]

    def encode(self, inputs: Iterable[fx.Node]) -> None:
        """Let what hangs on ``inputs`` of the capture and on weights alone come from encode."""
        self.encoded.update(inputs)
        settled = {node for node in self.capture.nodes if node.op == "get_attr"}
        for node in self.capture.nodes:
            if node.op == "call_function" and self.encoded.union(settled).issuperset(
                node.all_input_nodes
            ):
                hangs = self.encoded.intersection(node.all_input_nodes)
                (self.encoded if hangs else settled).add(node)

    def input(self, node: fx.Node, name: str, axes: Mapping[str, int]) -> fx.Node:
        """Add an input that stands for a placeholder of the capture; ``axes`` are its open ones."""
        made = self._copied[node] = self.placeholder(name)
        if not known(node).shape:  # no number alone: Core ML takes none
            self._copied[node] = self.call(torch.ops.aten.view.default, made, [])
        self._inputs += [(made, axis, dim) for axis, dim in axes.items()]
        return made
