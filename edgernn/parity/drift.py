"""How far a run went from another: by tensor and call, and what is made of it.

Integers and bools are compared as numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edgernn.contract import LAYERS, TensorSpec, next_name

_FEWEST_FOR_A_SLOPE = 8
_LEAST_SCALE = 1e-3  # a tensor smaller than this in every value is as good as zero


@dataclass(frozen=True, eq=False)
class Drift:
    """How far one tensor went from the reference.

    Attributes:
        tensor: its name in the contract.
        curve: the largest absolute difference at each call, ``[calls]``; infinite where a value is
            not finite.
        scale: the reference's largest absolute value over the rollout.
        relative: whether curve and scale are root mean squares instead of largest values, and their
            quotient is the measure; calls with larger values than ``scale`` are measured by their
            own, and brought to it.
    """

    tensor: str
    curve: np.ndarray
    scale: float
    relative: bool = False

    @property
    def worst(self) -> float:
        """The largest absolute difference."""
        return float(self.curve.max())

    @property
    def scaled(self) -> float:
        """The largest difference divided by ``scale``, or the larger of it and 1: what tolerances
        speak of.
        """
        return float(self.scaled_curve.max())

    @property
    def scaled_curve(self) -> np.ndarray:
        """The difference at each call, divided by ``scale``, or the larger of it and 1."""
        least = _LEAST_SCALE if self.relative else 1.0
        return (
            self.curve / max(least, self.scale)
            if np.isfinite(self.scale)
            else np.full_like(self.curve, np.inf)
        )

    @property
    def growth(self) -> float:
        """How the difference grows: the slope of its decimal logarithm over a hundred calls; 0
        stays as it is.
        """
        calls = np.flatnonzero((self.curve > 0) & np.isfinite(self.curve))
        if len(calls) < _FEWEST_FOR_A_SLOPE:
            return 0.0
        return float(np.polyfit(calls, np.log10(self.curve[calls]), 1)[0] * 100)

    @property
    def worst_call(self) -> int:
        """The call with the largest difference, from 0."""
        return int(self.curve.argmax())


def drifts(
    pairs: Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]], *, relative: bool = False
) -> tuple[Drift, ...]:
    """Compare named tensors call by call; the first of each pair is the reference. See ``Drift``
    for ``relative``.
    """
    curves: dict[str, list[float]] = {}
    sizes: dict[str, list[float]] = {}
    size: Callable[[np.ndarray], float] = _root_mean_square if relative else _largest
    for expected, found in pairs:
        for name, reference in expected.items():
            curves.setdefault(name, []).append(_difference(reference, found[name], size))
            sizes.setdefault(name, []).append(size(reference))
    return tuple(
        _drift(name, np.array(curve), np.array(sizes[name]), relative)
        for name, curve in curves.items()
    )


def _drift(name: str, curve: np.ndarray, sizes: np.ndarray, relative: bool) -> Drift:
    """Make a drift of differences and of the reference's sizes, both by call."""
    if not relative:
        return Drift(name, curve, _largest(sizes))
    scale = _root_mean_square(sizes)
    with np.errstate(invalid="ignore", divide="ignore"):
        larger = np.where(
            sizes > scale, scale / sizes, 1
        )  # a state that grows is measured by its own size
    return Drift(name, curve * larger, scale, relative=True)


def by_layer(tensors: dict[str, np.ndarray], states: Iterable[TensorSpec]) -> dict[str, np.ndarray]:
    """Put each layer of each next state that has layers in the place of the state: ``h_next[0]``.

    A state without the axis ``layers`` stays whole.
    """
    places = {next_name(spec.name): spec.axis(LAYERS) for spec in states}
    whole = {name: array for name, array in tensors.items() if places.get(name) is None}
    return whole | {
        f"{name}[{index}]": layer
        for name, place in places.items()
        if place is not None and name in tensors
        for index, layer in enumerate(np.moveaxis(tensors[name], place, 0))
    }


def _difference(
    expected: np.ndarray, found: np.ndarray, size: Callable[[np.ndarray], float]
) -> float:
    if expected.shape != found.shape or not (
        np.isfinite(expected).all() and np.isfinite(found).all()
    ):
        return float("inf")
    with np.errstate(over="ignore"):  # what is too far apart for float32 is infinitely far
        return size(np.subtract(expected, found, dtype=np.result_type(expected, np.float32)))


def _largest(array: np.ndarray) -> float:
    return max(float(array.max()), -float(array.min()))  # a NaN stays one; nothing is copied


def _root_mean_square(array: np.ndarray) -> float:
    flat = array.ravel()
    return float(np.sqrt(np.einsum("i,i->", flat, flat, dtype=np.float64) / flat.size))
