"""What a value of a captured graph is once time runs: a stream of frames, one moment, or
neither.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, fx


@dataclass(frozen=True, eq=False)
class Constant:
    """Hangs on no frame: weights, zeros, what an encoder makes. ``node`` is of the old graph."""

    node: fx.Node
    seen: Tensor


@dataclass(frozen=True, eq=False)
class Moment:
    """A tensor without a time axis that is new at every step; ``node`` is of the new graph.

    ``delay`` says by how many frames it is late, ``held`` that it is, or is made of, state as it
    was before the call, ``warmup`` how many more frames come before the first that the network has.
    """

    node: fx.Node
    seen: Tensor
    delay: Fraction = Fraction(0)
    held: bool = False
    warmup: Fraction = Fraction(0)


@dataclass(frozen=True, eq=False)
class Stream:
    """A tensor with a time axis: each step brings its next elements.

    Attributes:
        node: of the new graph; holds the elements that one call brings.
        seen: all elements, as the whole sequence gave them.
        dim: the axis that holds time; with ``outer`` rows before it and ``inner`` after it where a
            reshape laid them into one axis.
        outer, inner: see ``dim``; 1 where the axis is time alone.
        rate: elements a frame.
        lag: by how many elements it is late: the newest element after c elements have come is
            c - 1 - lag. Below 0 where elements stood before the first frame, as padding does.
        repeats: whether what stands before the first frame is the first frame again.
    """

    node: fx.Node
    seen: Tensor
    dim: int
    rate: Fraction = Fraction(1)
    lag: int = 0
    outer: int = 1
    inner: int = 1
    repeats: bool = False

    @property
    def length(self) -> int:
        """How many elements were seen."""
        return self.seen.shape[self.dim] // (self.outer * self.inner)

    @property
    def delay(self) -> Fraction:
        """By how many frames it is late."""
        return self.lag / self.rate

    def part(self, start: int, count: int) -> Tensor:
        """Return ``count`` of the elements that were seen, from ``start`` on."""
        return part(self.seen, self.dim, self.outer, self.inner, start, count)

    def apart(self) -> Stream:
        """Return the same stream with each element's own parts along time as elements: what
        repeats or interleaves frames makes several of one.
        """
        if self.outer != 1 or self.inner == 1:
            return self
        return replace(self, rate=self.rate * self.inner, lag=self.lag * self.inner, inner=1)

    def with_node(self, node: fx.Node, seen: Tensor | None = None) -> Stream:
        """Return the same stream computed by ``node``."""
        return replace(self, node=node, seen=self.seen if seen is None else seen)


@dataclass(frozen=True, eq=False)
class Turn:
    """A tensor of one turn of an unrolled loop; ``node`` is of the old graph.

    ``level`` is the latest frame that it hangs on; ``seen`` may be several tensors.
    """

    node: fx.Node
    seen: Any
    level: int


@dataclass(frozen=True, eq=False)
class Pieces:
    """A tensor that a loop fills frame by frame along ``dim``: the node of the old graph that gave
    each frame, None where none did yet.
    """

    seen: Tensor
    dim: int
    items: tuple[fx.Node | None, ...]


Value = Constant | Moment | Stream | Turn | Pieces


def part(seen: Tensor, dim: int, outer: int, inner: int, start: int, count: int) -> Tensor:
    """Return elements ``start`` to ``start + count`` of an axis that is outer · time · inner."""
    shape = list(seen.shape)
    length = shape[dim] // (outer * inner)
    split = seen.reshape(*shape[:dim], outer, length, inner, *shape[dim + 1 :])
    taken = split.narrow(dim + 1, start, count)
    return taken.reshape(*shape[:dim], outer * count * inner, *shape[dim + 1 :])


def close(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors differ by no more than the rounding of sums in another order."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    if not found.is_floating_point():
        return torch.equal(found, expected)
    largest = float(expected.abs().nan_to_num(0, 0, 0).max()) if expected.numel() else 0.0
    return torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1.0, largest), equal_nan=True)
