"""Operators of Core ML programs that read or write at indices that are data: gathers and scatters;
in numpy.

What holds of the functions of ``movement`` holds of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray
Operator = Callable[..., Any]


def gather(
    x: Array,
    indices: Array,
    axis: Array | int,
    batch_dims: Array | int = 0,
    validate_indices: Array | None = None,
) -> Array:
    """Take the slices of ``x`` at ``indices`` along ``axis``, separately for each of the first
    ``batch_dims`` axes.
    """
    at, batch = int(axis) % x.ndim, int(batch_dims)
    if batch:
        rows = zip(x, indices, strict=True)
        return np.stack(
            [gather(part, places, at - 1, batch - 1, validate_indices) for part, places in rows]
        )
    return np.take(x, _places(indices, x.shape[at], validate_indices), at)


def gather_along_axis(
    x: Array, indices: Array, axis: Array, validate_indices: Array | None = None
) -> Array:
    """Take one value per element of ``indices`` (shaped like ``x`` but for ``axis``) from the same
    place in ``x``.
    """
    return np.take_along_axis(x, _places(indices, x.shape[int(axis)], validate_indices), int(axis))


def gather_nd(
    x: Array, indices: Array, batch_dims: Array | int = 0, validate_indices: Array | None = None
) -> Array:
    """Take the slices of ``x`` whose coordinates are the rows of ``indices``, separately for
    ``batch_dims`` axes.
    """
    batch = int(batch_dims)
    if batch:
        return np.stack(
            [
                gather_nd(part, places, batch - 1, validate_indices)
                for part, places in zip(x, indices, strict=True)
            ]
        )
    return np.asarray(x[_coordinates(indices, x.shape, validate_indices)])


def scatter(
    data: Array,
    indices: Array,
    updates: Array,
    axis: Array,
    mode: str,
    validate_indices: Array | None = None,
) -> Array:
    """Return ``data`` with ``updates`` worked in at ``indices`` along ``axis`` by ``mode``."""
    at = int(axis) % data.ndim
    place = (slice(None),) * at + (_places(indices, data.shape[at], validate_indices),)
    return _work_in(data, place, updates, mode)


def scatter_along_axis(
    data: Array,
    indices: Array,
    updates: Array,
    axis: Array,
    mode: str,
    validate_indices: Array | None = None,
) -> Array:
    """Return ``data`` with each element of ``updates`` worked in at its index along ``axis`` by
    ``mode``.
    """
    at = int(axis) % data.ndim
    place: list[Array] = list(np.indices(indices.shape, sparse=True))
    place[at] = _places(indices, data.shape[at], validate_indices)
    return _work_in(data, tuple(place), updates, mode)


def scatter_nd(
    data: Array, indices: Array, updates: Array, mode: str, validate_indices: Array | None = None
) -> Array:
    """Return ``data`` with ``updates`` worked in at the coordinates in the rows of ``indices`` by
    ``mode``.
    """
    return _work_in(data, _coordinates(indices, data.shape, validate_indices), updates, mode)


SCATTER_MODES: dict[str, np.ufunc] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.true_divide,
    "max": np.maximum,
    "min": np.minimum,
}


def _work_in(data: Array, place: tuple[Any, ...], updates: Array, mode: str) -> Array:
    changed = data.copy()
    if mode == "update":
        changed[place] = updates
    else:
        SCATTER_MODES[mode].at(changed, place, updates)
    return changed


def _places(indices: Array, size: int, validate_indices: Array | None) -> Array:
    """Return the indices for numpy; raise IndexError where Core ML's result would be undefined.

    Before iOS 17 a negative index counts from the end. From iOS 17, whose operators have
    ``validate_indices``, it is out of bounds, and what a device then reads is undefined: programs
    must bring the index into range themselves.
    """
    places = indices.astype(np.intp)
    lowest = -size if validate_indices is None else 0
    outside = places[(places < lowest) | (places >= size)]
    if outside.size:
        raise IndexError(f"the index {outside[0]} is outside {lowest} to {size - 1}")
    return places


def _coordinates(
    indices: Array, shape: tuple[int, ...], validate_indices: Array | None
) -> tuple[Array, ...]:
    return tuple(
        _places(indices[..., axis], shape[axis], validate_indices)
        for axis in range(indices.shape[-1])
    )


SCATTERS: dict[str, Operator] = {
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
