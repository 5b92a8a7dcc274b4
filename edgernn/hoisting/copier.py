"""Constants of a capture copied into the step graph, and numbers as they are in a call."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import fx

from edgernn.hoisting.capture import Capture
from edgernn.hoisting.nodes import operator_of
from edgernn.hoisting.sizes import Length, Number, Sized
from edgernn.hoisting.writer import Writer

_aten = torch.ops.aten
_SHAPED = {_aten.view.default, _aten.reshape.default}  # operators that take -1 for one size


class Copier(Writer):
    """Writes a graph that is made of what a capture holds."""

    def __init__(
        self, capture: Capture, sizes: Sized, measured: Mapping[str, int], *, frames: int | None
    ) -> None:
        """
        Args:
            capture: what is copied from.
            sizes: what its numbers hang on.
            measured: axis → its size in the capture.
            frames: frames of a call, or None where a call may hold any number of them.
        """
        super().__init__(measured, frames)
        self.capture, self.sizes = capture, sizes
        self.encoded: set[fx.Node] = set()  # constants of the capture that encode makes
        self.contexts: dict[fx.Node, fx.Node] = {}  # of the capture → its placeholder
        self._copied: dict[fx.Node, fx.Node] = {}

    def number(self, length: Number) -> int | fx.Node:
        """Return a number of the capture as it is in a call."""
        if not isinstance(length, Length):
            return length
        product: Any = length.per
        sizes = [self.size(axis) for axis in length.axes]
        for size in sorted(sizes, key=lambda size: isinstance(size, fx.Node)):  # numbers first
            if isinstance(size, int):
                product = product * size
            elif isinstance(product, fx.Node):
                product = self.call(operator.mul, product, size)
            else:
                product = self._scaled(size, product)
        if "time" in length.axes:  # a call brings elements; what stood before them is not counted
            return product if isinstance(product, fx.Node) else int(product)
        if isinstance(product, fx.Node):
            return self.call(operator.add, product, length.base) if length.base else product
        return int(product) + length.base

    def _scaled(self, size: fx.Node, per: Fraction) -> fx.Node:
        node = size if per.numerator == 1 else self.call(operator.mul, size, per.numerator)
        return node if per.denominator == 1 else self.call(operator.floordiv, node, per.denominator)

    def numbers(self, target: Any, value: Any) -> Any:
        """Return arguments with their numbers as they are in a call."""
        if isinstance(value, Length):
            return self.number(value)
        if isinstance(value, tuple):
            moving = [part for part in value if isinstance(part, Length)]
            if target in _SHAPED and len(moving) == 1 and -1 not in value:
                return [-1 if isinstance(part, Length) else part for part in value]
            return [self.numbers(target, part) for part in value]
        return value

    def numbers_in(self, target: Any, args: Sequence[Any]) -> list[Any]:
        """Return each of ``args`` with its numbers as they are in a call."""
        return [self.numbers(target, _tuples(argument)) for argument in args]

    def constant(self, node: fx.Node) -> fx.Node:
        """Copy a constant of the capture, and what it is made of, into the step graph."""
        if node not in self._copied:
            if node in self.encoded and self.sizes.axis_of(node, "time") is None:
                made = self.contexts[node] = self.placeholder(f"context_{len(self.contexts)}")
                self._inputs += [
                    (made, size.axes[0], place)
                    for place, size in enumerate(self.sizes.shapes.get(node, ()))
                    if isinstance(size, Length)
                    and (len(size.axes), size.base, size.per) == (1, 0, 1)
                ]
            elif node.op == "get_attr":
                made = self.graph.get_attr(str(operator_of(node)))
            else:
                args = fx.map_arg(self.sizes.args[node], self.constant)
                kwargs = fx.map_arg(self.sizes.kwargs[node], self.constant)
                made = self.call(
                    operator_of(node),
                    *self.numbers_in(operator_of(node), args),
                    like=node,
                    **{k: self.numbers(operator_of(node), v) for k, v in kwargs.items()},
                )
            self._copied[node] = made
        return self._copied[node]

    def batch_axis(self, node: fx.Node) -> int | None:
        """Return the axis of a capture's tensor that holds rows, where it holds nothing else."""
        for place, size in enumerate(self.sizes.shapes.get(node, ())):
            if isinstance(size, Length) and size.axes == ("batch",) and size.base == 0:
                return place
        return None


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, (list, tuple)) else value
