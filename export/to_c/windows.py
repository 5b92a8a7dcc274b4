"""Nodes that look through windows over rows and columns: convolutions and pools."""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.export.to_c.program import Node
from edgernn.export.to_c.views import View


@dataclass(frozen=True)
class Windows:
    """How windows lie over rows and columns, each a pair: their size, their steps, what is put
    before, and how far apart a window's elements are.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    before: tuple[int, int]
    dilations: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Convolve(Node):
    """``out [C, rows, columns]`` of ``source [I, rows, columns]``, ``kernels
    [C, I / groups, ·, ·]`` and ``bias [C]``.
    """

    source: View
    kernels: View
    bias: View | None
    windows: Windows
    groups: int

    def fits(self) -> bool:
        """See ``Node.fits``."""
        channels, *_ = self.out.shape
        given = self.kernels.shape[1] * self.groups == self.source.shape[0]
        kernel = self.kernels.shape[2:] == self.windows.kernel
        fit = self.bias is None or self.bias.shape == (channels,)
        even = channels == self.kernels.shape[0] and channels % self.groups == 0
        return fit and given and kernel and even

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source, self.kernels, *([] if self.bias is None else [self.bias]))


@dataclass(frozen=True, eq=False)
class Pool(Node):
    """The mean or the largest of each window; ``padded`` counts what was put around into the
    mean.
    """

    source: View
    windows: Windows
    how: str
    padded: bool

    def fits(self) -> bool:
        """See ``Node.fits``."""
        return self.out.shape[0] == self.source.shape[0]

    def reads(self) -> tuple[View, ...]:
        """See ``Node.reads``."""
        return (self.source,)
