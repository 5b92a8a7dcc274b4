"""Sequences with a label a step, as they are read: clips of frames, and sentences of words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from edgernn.errors import DataError
from edgernn.wording import some

if TYPE_CHECKING:
    from typing import Self

LEAST_SIDE, MOST_SIDE = 4, 256  # pixels on a side of a frame


@dataclass(frozen=True, eq=False)
class Tagged:
    """Sequences with a label a step.

    Attributes:
        source: where they come from, in words.
        sequences: what each step holds, of T steps each.
        labels: the T labels of each.
    """

    source: str
    sequences: tuple[Any, ...]
    labels: tuple[tuple[str, ...], ...]

    def cut(self, most: int) -> Self:
        """Return the sequences, those of more than ``most`` steps cut into pieces of about one
        length.
        """
        bounds = [_bounds(len(own), most) for own in self.labels]
        return replace(
            self, sequences=_cut(self.sequences, bounds), labels=_cut(self.labels, bounds)
        )

    def take(self, places: Iterable[int]) -> Self:
        """Return the sequences at ``places``."""
        kept = list(places)
        return replace(
            self,
            sequences=tuple(self.sequences[place] for place in kept),
            labels=tuple(self.labels[place] for place in kept),
        )

    @property
    def steps(self) -> int:
        """How many steps there are together."""
        return sum(map(len, self.labels))


class TaggedFrames(Tagged):
    """Clips: ``sequences`` are uint8 ``[T, H, W, C]`` each, of one H, W and C."""

    sequences: tuple[np.ndarray, ...]


class TaggedWords(Tagged):
    """Sentences: ``sequences`` are the words of each."""

    sequences: tuple[tuple[str, ...], ...]


def label_names(labels: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return every label once, the frequent ones first.

    Raises:
        DataError: there are fewer than two.
    """
    counts = Counter(label for row in labels for label in row)
    if len(counts) < 2:
        raise DataError(
            f"every step has the label {some(list(counts))}; there is nothing to learn from fewer "
            "than two labels"
        )
    return tuple(label for label, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def label_ids(
    labels: Iterable[Sequence[str]], names: Sequence[str], *, source: str
) -> list[np.ndarray]:
    """Return the places of labels among ``names``, int64 ``[T]`` each.

    Raises:
        DataError: one is not among them, which names where it is in ``source``.
    """
    places, made = {name: at for at, name in enumerate(names)}, []
    for row, own in enumerate(labels):
        unknown = next((at for at, label in enumerate(own) if label not in places), None)
        if unknown is not None:
            raise DataError(
                f"{source}: step {unknown + 1} of sequence {row + 1} has the label "
                f"{own[unknown]!r}, which no step to train on has; expected one of {some(names)}"
            )
        made.append(np.array([places[label] for label in own], np.int64))
    return made


def _bounds(length: int, most: int) -> list[int]:
    """Return where the pieces of a sequence begin, and its end."""
    count = -(-length // most)
    return [length * at // count for at in range(count)] + [length]


def _cut(rows: Sequence[Any], bounds: list[list[int]]) -> tuple[Any, ...]:
    return tuple(
        row[first:last]
        for row, own in zip(rows, bounds, strict=True)
        for first, last in pairwise(own)
    )
