"""What the rules of layers share: the axes of blobs, and what is said where a layer does not fit
them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgernn.errors import ContractError
from edgernn.sessions.ncnn.text import Layer

Dims = tuple[int, ...]
Rule = Callable[[Layer, Sequence[Dims]], list[Dims]]
# the key by which a layer computes in float32, whatever the runtime's options say, and its value
EXACT, NO_HALF_FLOATS = 31, 7


def unfit(layer: Layer, given: Sequence[Dims]) -> ContractError:
    """Return what is raised where a layer does not fit what it reads."""
    return ContractError(f"{layer.what} does not fit what it reads, {list(map(list, given))}")


def one(layer: Layer, given: Sequence[Dims], *, axes: Sequence[int] = (1, 2, 3)) -> Dims:
    """Return the axes of the only blob that a layer reads; raise ContractError where it is not one,
    or has not as many axes.
    """
    if len(given) != 1 or len(given[0]) not in axes:
        raise unfit(layer, given)
    return given[0]
