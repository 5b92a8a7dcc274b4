"""The values of a beam search in a graph: what its loop hands from pass to pass, in one order.

Each kind of them is made twice: of names, as the search goes on, and of their dtypes and shapes,
which the loop declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgernn.contract import BATCH, Contract, TensorSpec
from edgernn.contract.in_graph import further_outputs
from edgernn.export.to_onnx.nodes import Carried

T = TypeVar("T")
U = TypeVar("U")
_Declared = tuple[str, list[int | str | None]]  # dtype and shape


@dataclass(frozen=True)
class Best(Generic[T]):
    """The best sequence that has ended so far: its score, its log-probability, its tokens ``[n]``,
    and what else each step gave of it.
    """

    score: T
    log_probability: T
    tokens: T
    further: list[T]

    @property
    def values(self) -> list[T]:
        """All of them, in the order of ``filled``."""
        return [self.score, self.log_probability, self.tokens, *self.further]

    def filled(self, values: Iterator[U]) -> Best[U]:
        """Return the same of the next of ``values``."""
        return Best(next(values), next(values), next(values), [next(values) for _ in self.further])


@dataclass(frozen=True)
class Beams(Generic[T]):
    """What goes on: the last tokens ``[B, 1]``, the sums ``[B, 1, 1]``, what was written ``[B, n]``
    and what else each step gave, the states.
    """

    last: T
    sums: T
    tokens: T
    further: list[T]
    state: list[T]

    @property
    def values(self) -> list[T]:
        """All of them, in the order of ``filled``."""
        return [self.last, self.sums, self.tokens, *self.further, *self.state]

    def filled(self, values: Iterator[U]) -> Beams[U]:
        """Return the same of the next of ``values``."""
        return Beams(
            next(values),
            next(values),
            next(values),
            [next(values) for _ in self.further],
            [next(values) for _ in self.state],
        )


class SearchValues:
    """The dtypes and shapes of what a search over models of ``contract`` carries."""

    def __init__(self, contract: Contract) -> None:
        def sizes(spec: TensorSpec) -> list[int | str | None]:
            return [None if axis == BATCH else contract.sizes.get(axis) for axis in spec.axes]

        further = [(t.dtype, sizes(t)[2:]) for t in further_outputs(contract)]
        self._beams = Beams[_Declared](
            ("int64", [None, 1]),
            ("float64", [None, 1, 1]),
            ("int64", [None, None]),
            [(dtype, [None, None, *shape]) for dtype, shape in further],
            [(state.dtype, sizes(state)) for state in contract.step.states],
        )
        self._best = Best[_Declared](
            ("float64", []),
            ("float64", []),
            ("int64", [None]),
            [(dtype, [None, *shape]) for dtype, shape in further],
        )

    @property
    def best_dtypes(self) -> list[str]:
        """The dtypes of ``Best.values``."""
        return [dtype for dtype, _ in self._best.values]

    def carried(self, beams: Beams[str], best: Best[str]) -> list[Carried]:
        """Declare what a loop carries: the beams, then the best."""
        first, declared = [*beams.values, *best.values], [*self._beams.values, *self._best.values]
        return [Carried(name, *each) for name, each in zip(first, declared, strict=True)]

    def named(self, values: Iterable[str]) -> tuple[Beams[str], Best[str]]:
        """Return what a loop has carried, of the names in the order of ``carried``."""
        names = iter(values)
        return self._beams.filled(names), self._best.filled(names)

    def best_named(self, values: Iterable[str]) -> Best[str]:
        """Return the best sequence, of the names in the order of ``Best.values``."""
        return self._best.filled(iter(values))
