"""One recorded tensor beside the network's own: how far it is off, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgernn.contract import BATCH, TensorSpec


@dataclass(frozen=True)
class Compared:
    """One recorded tensor beside the network's own: the largest difference, divided by the largest
    recorded value or 1, and the step and row of it; ``near`` is the largest of those that are
    finite, infinity where none is, and ``strange`` how many are not.
    """

    name: str
    worst: float
    step: int
    row: int
    near: float = 0.0
    strange: int = 0


def compare(
    name: str, theirs: np.ndarray, mine: np.ndarray, spec: TensorSpec, late: int
) -> Compared:
    """Return how far ``mine`` is off ``theirs``, both ``[N, *axes]`` of ``spec``; ``late`` is how
    many recorded steps came before the first one.
    """
    sizes = np.abs(theirs, dtype=np.float64)
    scale = float(sizes.max(initial=1.0, where=np.isfinite(sizes)))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        away = np.abs(np.subtract(mine, theirs, dtype=np.float64)) / scale
    finite = np.isfinite(away)
    near = float(away.max(initial=0.0, where=finite)) if finite.any() else np.inf
    place = np.unravel_index(int(np.nan_to_num(away, nan=np.inf).argmax()), away.shape)
    row = spec.axis(BATCH)
    worst = float(away[place])
    step = int(place[0]) + late
    at = 0 if row is None else int(place[1 + row])
    return Compared(name, worst, step, at, near, int(finite.size - finite.sum()))


def worst_of(compared: tuple[Compared, ...]) -> Compared:
    """Return the tensor that is furthest off; one that is no number is further than any."""
    return max(compared, key=lambda each: np.inf if np.isnan(each.worst) else each.worst)


def away(compared: tuple[Compared, ...]) -> tuple[float, int]:
    """Return how far a way is off: by the values that are finite on both sides, and how many are
    not, as one that is no number lies as far from every way.
    """
    return max(each.near for each in compared), sum(each.strange for each in compared)
