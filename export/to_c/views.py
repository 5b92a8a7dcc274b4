"""Where the values of a program lie: strided views of storages, as numpy has them of its arrays.

What only moves elements, as Reshape, Transpose, Slice or Split, is another view and no code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

INPUT, STATE, OUTPUT, SCRATCH, CONSTANT = "input", "state", "output", "scratch", "constant"


@dataclass(eq=False)
class Storage:
    """A row of elements of one dtype.

    Attributes:
        kind: an input, a state (read before, written last), an output, scratch memory, or constant.
        dtype: as numpy calls it.
        size: in elements.
        name: of the contract's tensor, where it is one.
        values: the elements of a constant, ``[size]``.
    """

    kind: str
    dtype: str
    size: int
    name: str = ""
    values: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class View:
    """Elements of a storage: the first one's place, and along each axis how many and how far
    apart.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """As numpy calls it."""
        return self.storage.dtype

    @property
    def size(self) -> int:
        """How many elements there are."""
        return prod(self.shape)

    @property
    def rank(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie one behind the other, in order."""
        return all(
            size == 1 or own == want
            for size, own, want in zip(self.shape, self.strides, dense(self.shape), strict=True)
        )

    @property
    def whole(self) -> bool:
        """Whether it is all of its storage, in order."""
        return self.contiguous and self.offset == 0 and self.size == self.storage.size

    def values(self) -> np.ndarray | None:
        """Return the elements where they are constant."""
        if self.storage.values is None:
            return None
        flat = self.storage.values[self.offset :]
        steps = [stride * flat.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)

    def transpose(self, order: Sequence[int]) -> View:
        """Put the axes in another order."""
        _demand(sorted(order) == list(range(self.rank)), f"axes {order} of {self.shape}")
        shape = tuple(self.shape[axis] for axis in order)
        return View(self.storage, self.offset, shape, tuple(self.strides[axis] for axis in order))

    def cut(self, axis: int, start: int, count: int, step: int = 1) -> View:
        """Take ``count`` elements along an axis, from ``start`` on."""
        ends = (start, start + (count - 1) * step) if count else ()
        inside = all(0 <= end < self.shape[axis] for end in ends) and count >= 0
        _demand(inside, f"{count} from {start} by {step} of axis {axis} of {self.shape}")
        shape, strides = list(self.shape), list(self.strides)
        offset = self.offset + (start * strides[axis] if count else 0)
        shape[axis], strides[axis] = count, strides[axis] * step
        return View(self.storage, offset, tuple(shape), tuple(strides))

    def cut_to(self, axes: int) -> View:
        """Take the first along each of the first ``axes`` axes, which go."""
        return View(self.storage, self.offset, self.shape[axes:], self.strides[axes:])

    def broadcast(self, shape: Sequence[int]) -> View:
        """Repeat along new axes in front and along axes of one element."""
        added = len(shape) - self.rank
        _demand(
            added >= 0 and all(a in (1, b) for a, b in zip(self.shape, shape[added:], strict=True)),
            f"{self.shape} as {tuple(shape)}",
        )
        strides = [0] * added + [
            0 if own == 1 and size != 1 else stride
            for own, size, stride in zip(self.shape, shape[added:], self.strides, strict=True)
        ]
        return View(self.storage, self.offset, tuple(shape), tuple(strides))

    def reshape(self, shape: Sequence[int]) -> View | None:
        """Return the same elements under another shape; None where they must be copied first."""
        shape = tuple(shape)
        _demand(prod(shape) == self.size and min(shape, default=0) >= 0, f"{self.shape} as {shape}")
        if self.contiguous:
            return View(self.storage, self.offset, shape, dense(shape))
        own = [(s, t) for s, t in zip(self.shape, self.strides, strict=True) if s != 1]
        if [s for s, _ in own] != [s for s in shape if s != 1]:
            return None
        left = iter(own)
        return View(
            self.storage, self.offset, shape, tuple(0 if s == 1 else next(left)[1] for s in shape)
        )


def _demand(holds: bool, asked: str) -> None:
    """Raise ValueError for a view of elements that are not there, of which no C may be written."""
    if not holds:
        raise ValueError(f"the shapes do not fit: {asked}")


def dense(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of elements that lie one behind the other."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def all_of(storage: Storage, shape: Sequence[int]) -> View:
    """Return the view of a whole storage under a shape."""
    return View(storage, 0, tuple(shape), dense(shape))


def collapsed(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Return the fewest axes over which several views of one shape can be walked together.

    Axes of one element go, and neighbours along which every view goes on evenly become one.
    """
    axes: list[tuple[int, list[int]]] = []
    for axis, size in enumerate(shape):
        steps = [own[axis] for own in strides]
        if size == 1:
            continue
        if axes and all(a == b * size for a, b in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * size, steps)
        else:
            axes.append((size, steps))
    return tuple(size for size, _ in axes), [
        tuple(steps[view] for _, steps in axes) for view in range(len(strides))
    ]
