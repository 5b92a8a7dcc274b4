"""Operators of Core ML programs that move values without computing: shapes, slices, joins; in
numpy. Those that gather and scatter stand in ``indexing``.

Each function takes the operator's inputs under the operator's own input names, as arrays
(``values`` as a list of them), and returns an array, or a tuple where the operator has several
outputs. Semantics are those that coremltools documents in ``converters/mil/mil/ops/defs``. A
function never changes what it is given, and keeps dtypes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgernn.sessions.mil.indexing import Array, Operator, gather, gather_along_axis, gather_nd


def reshape(x: Array, shape: Array) -> Array:
    """Reshape; a 0 stands for the size of ``x`` at that place counted from the right (1 beyond it),
    one -1 for the rest.
    """
    wanted = shape.tolist()
    sizes = [1] * (len(wanted) - x.ndim) + list(x.shape)
    sizes = sizes[len(sizes) - len(wanted) :]
    return x.reshape([old if new == 0 else new for new, old in zip(wanted, sizes, strict=True)])


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """Remove the axes of size 1, all or those of ``axes``; others in ``axes`` stay, as in torch."""
    if axes is None:
        return np.squeeze(x)
    return np.squeeze(x, tuple(axis for axis in axes.tolist() if x.shape[axis] == 1))


def slice_by_index(x: Array, begin: Array, end: Array, **options: Array) -> Array:
    """Return ``x[begin:end:stride]``, one of each per axis; see ``_slices`` for ``options``."""
    return x[_slices(begin, end, **options)]


def slice_update(x: Array, update: Array, begin: Array, end: Array, **options: Array) -> Array:
    """Return a copy of ``x`` with ``update`` where ``slice_by_index`` reads."""
    changed = x.copy()
    place = _slices(begin, end, **options)
    changed[place] = update.reshape(changed[place].shape)
    return changed


def _slices(
    begin: Array,
    end: Array,
    stride: Array | None = None,
    begin_mask: Array | None = None,
    end_mask: Array | None = None,
    squeeze_mask: Array | None = None,
) -> tuple[int | slice, ...]:
    """Return one index per axis: a mask drops its bound, and ``squeeze_mask`` takes the element at
    ``begin`` alone.
    """
    nothing = [False] * len(begin)
    strides = [1] * len(begin) if stride is None else stride.tolist()
    masks = (
        nothing if mask is None else mask.tolist() for mask in (begin_mask, end_mask, squeeze_mask)
    )
    return tuple(
        (0 if open_begin else first)
        if alone
        else slice(None if open_begin else first, None if open_end else last, step)
        for first, last, step, open_begin, open_end, alone in zip(
            begin.tolist(), end.tolist(), strides, *masks, strict=True
        )
    )


def slice_by_size(x: Array, begin: Array, size: Array) -> Array:
    """Return ``size`` elements per axis from ``begin``; a size of -1 takes all that follow."""
    starts = [first % length for first, length in zip(begin.tolist(), x.shape, strict=True)]
    return x[
        tuple(
            slice(first, None if n == -1 else first + n)
            for first, n in zip(starts, size.tolist(), strict=True)
        )
    ]


def split(
    x: Array, axis: Array, num_splits: Array | None = None, split_sizes: Array | None = None
) -> tuple[Array, ...]:
    """Cut along ``axis`` into pieces of ``split_sizes``, or into ``num_splits`` equal ones."""
    if split_sizes is not None:
        return tuple(np.split(x, np.cumsum(split_sizes)[:-1], int(axis)))
    if num_splits is None:
        raise ValueError("a split needs num_splits or split_sizes")
    return tuple(np.split(x, int(num_splits), int(axis)))


def concat(values: Sequence[Array], axis: Array, interleave: Array) -> Array:
    """Join along ``axis``, one after the other, or element by element in turn where
    ``interleave``.
    """
    at = int(axis)
    if not interleave:
        return np.concatenate([np.atleast_1d(value) for value in values], at)
    at %= values[0].ndim
    shape = list(values[0].shape)
    shape[at] *= len(values)
    return np.stack(values, at + 1).reshape(shape)


def select(cond: Array, a: Array, b: Array) -> Array:
    """Return ``a`` where ``cond``, else ``b``; the three broadcast."""
    return np.where(cond, a, b)


def tile(x: Array, reps: Array) -> Array:
    """Repeat ``x`` ``reps[i]`` times along axis i."""
    return np.tile(x, reps.tolist())


def reverse(x: Array, axes: Array | None = None) -> Array:
    """Flip ``axes``, or all."""
    return np.flip(x, None if axes is None else tuple(axes.tolist()))


def one_hot(
    indices: Array, one_hot_vector_size: Array, axis: Array, on_value: Array, off_value: Array
) -> Array:
    """Return ``on_value`` where the new axis' position equals the index, ``off_value``
    elsewhere.
    """
    hot = np.arange(int(one_hot_vector_size)) == indices[..., None]
    return np.moveaxis(np.where(hot, on_value, off_value), -1, int(axis))


def topk(
    x: Array, k: Array, axis: Array, ascending: Array, return_indices: Array | bool = True, **_: Any
) -> Any:
    """Return the ``k`` largest (smallest where ``ascending``) values along ``axis``, sorted, and
    where they stood.

    A ``k`` of -1 takes all. Equal values come in their order in ``x``; Core ML promises no order
    for them.
    """
    at = int(axis)
    keys = x if ascending else -x.astype(np.float64)
    order = np.argsort(keys, at, kind="stable").take(range(x.shape[at] if k == -1 else int(k)), at)
    values = np.take_along_axis(x, order, at)
    return (values, order) if return_indices else values


MOVEMENT: dict[str, Operator] = {
    "cast": lambda x, dtype: x,  # every result is converted to its declared dtype
    "concat": concat,
    "expand_dims": lambda x, axes: np.expand_dims(x, tuple(axes.tolist())),
    "fill": lambda shape, value: np.full(shape.tolist(), value),
    "fill_like": lambda ref_tensor, value: np.full(ref_tensor.shape, value),
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "identity": lambda x: x,
    "one_hot": one_hot,
    "range_1d": lambda start, end, step: np.arange(start.item(), end.item(), step.item()),
    "reshape": reshape,
    "reverse": reverse,
    "select": select,
    "shape": lambda x: np.array(x.shape, np.int32),
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
    "split": split,
    "squeeze": squeeze,
    "stack": lambda values, axis: np.stack(values, int(axis)),
    "tile": tile,
    "topk": topk,
    "transpose": lambda x, perm: np.transpose(x, perm.tolist()),
}
