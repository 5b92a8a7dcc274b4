"""Shapes with open axes, and the rule that the check of the structure proves: along an open axis
nothing meets anything else.

The size of an axis is a row of factors, numbers and names of open axes, in the order in which they
lie in memory: ``(8,)``, ``("batch",)``, ``("time", "batch")`` for two axes flattened into one,
``()`` for one. What a graph computes of sizes, to shape its tensors, is followed with the sizes as
unknowns (``Size``), so it is known for every size at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from edgernn.contract import BATCH, TIME

Dim = tuple[int | str, ...]
Dims = tuple[Dim, ...]
ONE: Dim = ()


class SizeError(Exception):
    """The graph does what depends on a size, or mixes what lies along an open axis; the text says
    which.
    """


class MixedError(SizeError):
    """The graph mixes what lies along an open axis, or cuts it: wrong along batch and along single
    steps.
    """


class UnknownError(Exception):
    """The graph does what this reader cannot follow; the text says what."""


class TextError(Exception):
    """The file is a program, and its text is not what its graph gives; ``claimed`` says whether the
    text says that it is.
    """

    def __init__(self, words: str, *, claimed: bool) -> None:
        super().__init__(words)
        self.claimed = claimed


@dataclass(frozen=True)
class Size:
    """The unknown size of an open axis, or a product with it, as it flows through a graph's own
    arithmetic.
    """

    dim: Dim

    def __str__(self) -> str:
        return show(self.dim)


@dataclass(frozen=True)
class StatePart:
    """Layers ``start`` to ``stop`` of a state: before a call, or (``after``) as recurrent layers
    left them.
    """

    state: str
    start: int
    stop: int
    after: bool = False


@dataclass(frozen=True)
class Meaning:
    """What the elements of a tensor are, in the words of ``places``: a kind, the axis along which,
    and what was added to a count.
    """

    kind: str
    axis: Dim = ONE
    shift: int = 0


@dataclass(frozen=True, eq=False)
class Value:
    """What is known of a tensor before it is computed.

    Attributes:
        dims: its shape.
        known: its elements, where they follow from constants and sizes alone: numbers and ``Size``,
            an array of objects.
        part: which layers of one of the contract's states it is, as it came in or as a recurrent
            layer made it.
        is_state: whether it is one of the contract's states, all of it, as it came in.
        past: the state whose frames lie in front of those of the call, of a delay line as it was
            joined.
        meaning: what its elements are, where ``places`` follows that.
    """

    dims: Dims
    known: np.ndarray | None = None
    part: StatePart | None = None
    is_state: bool = False
    past: StatePart | None = None
    meaning: Meaning | None = None

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.dims)

    @property
    def has_size(self) -> bool:
        """Whether an element is the size of an open axis."""
        return self.known is not None and any(
            isinstance(entry, Size) for entry in self.known.ravel()
        )

    def axis(self, axis: int) -> int:
        """Return an axis counted from the end as counted from the start."""
        return axis + self.rank if axis < 0 else axis


def known(elements: Any) -> Value:
    """Return the value whose elements are these numbers and sizes."""
    array = (
        np.empty(np.shape(elements), object) if not isinstance(elements, np.ndarray) else elements
    )
    if array is not elements:
        array[...] = elements
    return Value(tuple(map(dim, array.shape)), array.astype(object))


def dim(size: int | str | Size) -> Dim:
    """Return the size of an axis from a number, a name, or what arithmetic made of one."""
    if isinstance(size, Size):
        return size.dim
    return ONE if size == 1 else (size,)


def size_of(found: Dim) -> int | Size:
    """Return the number that a size is, or the unknown."""
    numbers = [factor for factor in found if isinstance(factor, int)]
    return Size(found) if is_open(found) else prod(numbers)


def is_open(found: Dim) -> bool:
    """Return whether a size is unknown."""
    return any(isinstance(factor, str) for factor in found)


_PAST = f"{TIME}+"  # of the name of an axis that is time with some frames in front


def with_past(frames: int) -> Dim:
    """Return the size of time with ``frames`` frames of the past in front: element i of it hangs on
    no frame of the call after i - frames.
    """
    return (f"{_PAST}{frames}",) if frames else (TIME,)


def past_in(found: Dim) -> int | None:
    """Return how many frames of the past lie in front of an axis of time; None of any other."""
    if len(found) == 1 and isinstance(found[0], str) and found[0].startswith(_PAST):
        return int(found[0].removeprefix(_PAST))
    return None


def is_callers(found: Dim) -> bool:
    """Return whether a size is that of rows or frames, which must not meet; encode's are not."""
    return bool({BATCH, TIME} & {*found}) or past_in(found) is not None


def show(found: Dim) -> str:
    """Return a size in words, as ``time × 8``."""
    return " × ".join(map(str, found)) or "1"


def shown(dims: Dims) -> str:
    """Return a shape in words."""
    return f"[{', '.join(map(show, dims))}]"


def joined(dims: Iterable[Dim]) -> Dim:
    """Return the size of axes flattened into one, numbers that lie side by side multiplied."""
    found: list[int | str] = []
    for factor in (factor for entry in dims for factor in entry):
        if isinstance(factor, int) and found and isinstance(found[-1], int):
            found[-1] *= factor
        else:
            found.append(factor)
    return tuple(found)


def product(left: int | Size, right: int | Size) -> int | Size:
    """Multiply two sizes; zero and one are numbers."""
    if left == 0 or right == 0:
        return 0
    return size_of(joined((dim(left), dim(right))))


def broadcast(shapes: Sequence[Dims]) -> Dims:
    """Return the shape of an operator that takes its inputs element by element.

    Raises:
        SizeError: an axis that is open in one is not the same axis in another, nor of one element.
    """
    rank = max(map(len, shapes))
    padded = [(ONE,) * (rank - len(dims)) + dims for dims in shapes]
    found = []
    for place in range(rank):
        wanted = ONE
        for dims in padded:
            own = dims[place]
            if own in {ONE, wanted}:
                continue
            if wanted != ONE:
                raise SizeError(
                    f"an axis of {show(own)} meets one of {show(wanted)}, which fit at one "
                    "size alone"
                )
            wanted = own
        found.append(wanted)
    return tuple(found)


def closed(dims: Dims, axes: Iterable[int], what: str) -> None:
    """Raise MixedError where one of ``axes`` is open: ``what`` would mix what lies along it;
    UnknownError where only axes that encode chooses are, along which a model may mix.
    """
    for axis in axes:
        if not is_open(dims[axis]):
            continue
        if not is_callers(dims[axis]):
            raise UnknownError(
                f"{what} along the axis {show(dims[axis])}, whose size encode chooses, so nothing "
                "is proved of this file"
            )
        raise MixedError(
            f"{what} along the axis {show(dims[axis])} mixes what must not meet, or reads its size"
        )


def reshaped(dims: Dims, targets: Sequence[Any]) -> Dims:
    """Return the shape after a reshape to ``targets``: numbers, sizes, one -1 for the rest.

    Raises:
        MixedError: the elements of an open axis would not stay side by side as they were.
    """
    flat = list(joined(dims))
    place = next((i for i, size in enumerate(targets) if size == -1), len(targets))
    before = [dim(size) for size in targets[:place]]
    after = [dim(size) for size in targets[place + 1 :]]
    for own in before:
        _take(flat, own, dims, last=False)
    for own in reversed(after):
        _take(flat, own, dims, last=True)
    if place < len(targets):
        return (*before, joined([tuple(flat)]), *after)
    if flat:
        raise MixedError(f"a reshape of {shown(dims)} fits at one size alone")
    return tuple(before)


def _take(flat: list[int | str], own: Dim, dims: Dims, *, last: bool) -> None:
    """Take the factors of one axis off the start, or the end, of those of the whole."""
    end = -1 if last else 0
    for factor in reversed(own) if last else own:
        if not flat:
            raise MixedError(f"a reshape of {shown(dims)} fits at one size alone")
        found = flat[end]
        if found == factor:
            flat.pop(end)
        elif isinstance(factor, int) and isinstance(found, int) and factor and found % factor == 0:
            flat[end] = found // factor
        else:
            raise MixedError(
                f"a reshape of {shown(dims)} puts {factor} where {found} lies, which fits at "
                "one size alone"
            )
