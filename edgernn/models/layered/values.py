"""What is known of a tensor in a network of layers before anything is computed: its axes and its
dtype.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgernn.contract import BATCH, TIME


@dataclass(frozen=True)
class Axis:
    """One axis: its name in the contract, and its size; None where a caller or ``encode`` chooses
    it.
    """

    name: str
    size: int | None = None


BATCH_AXIS, TIME_AXIS = Axis(BATCH), Axis(TIME)


@dataclass(frozen=True)
class Value:
    """A tensor that layers pass on.

    Attributes:
        axes: in order; of the step ``[B, T, ·]``, of a context or of ``encode`` ``[B, ·]``.
        dtype: as the contract says it.
        below: the axis whose size bounds the values, where they are ids.
    """

    axes: tuple[Axis, ...]
    dtype: str = "float32"
    below: Axis | None = None

    @property
    def timed(self) -> bool:
        """Whether it has a value for each time step."""
        return TIME_AXIS in self.axes

    @property
    def is_float(self) -> bool:
        """Whether its values are numbers to compute with, not ids or pictures."""
        return self.dtype.startswith("float")

    @property
    def width(self) -> int:
        """The size of the last axis; 0 where it is open."""
        return self.axes[-1].size or 0

    def over(self, last: Axis) -> Value:
        """Return a float value of the same axes but for the last, which is ``last``."""
        return Value((*self.axes[:-1], last))

    def told(self) -> str:
        """Return its dtype and axes for a message."""
        axes = (
            axis.name if axis.size is None else f"{axis.name}={axis.size}" for axis in self.axes
        )
        return f"{self.dtype}[{', '.join(axes)}]"


def before(layer: str, key: str) -> str:
    """Return what the state ``key`` of ``layer`` before the step is called among the values."""
    return f"{layer} before: {key}"
