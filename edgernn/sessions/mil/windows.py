"""Operators of Core ML programs that slide a window over a picture: convolutions and pools; in
numpy.

A picture is ``x [N, C, *D]`` with one to three spatial axes D. What holds of the functions of
``image`` holds of these, too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray
Operator = Callable[..., Any]
# Along one axis: how much is padded before and after, and at how many places the window stands.
Slide = tuple[int, int, int]

PAD_TYPES = ("custom", "same", "same_lower", "valid")
TRANSPOSED_PAD_TYPES = ("custom", "same", "valid")


def conv(
    x: Array,
    weight: Array,
    strides: Array,
    pad_type: str,
    pad: Array,
    dilations: Array,
    groups: Array,
    bias: Array | None = None,
) -> Array:
    """Convolve ``x [N, I, *D]`` with ``weight [O, I/groups, *K]``, padded with zeros, and add
    ``bias [O]``: ``[N, O, *D']``.
    """
    kernel, count, spatial = weight.shape[2:], int(groups), tuple(range(2, x.ndim))
    reaches = _reaches(kernel, dilations)
    slides = _slides(x, reaches, strides, pad_type, pad)
    framed = np.pad(x, [(0, 0), (0, 0), *((before, after) for before, after, _ in slides)])
    windows = sliding_window_view(framed, reaches, spatial)  # [N, I, *places, *reaches]
    windows = windows[
        tuple(slice(None, None, step) for step in (1, 1, *strides.tolist(), *dilations.tolist()))
    ]
    windows = windows.transpose(
        0, 1, *(axis + len(kernel) for axis in spatial), *spatial
    )  # [N, I, *K, *D']
    sizes = windows.shape[x.ndim :]
    # one matrix product per row of the batch and group
    columns = windows.reshape(len(x), count, weight[0].size, -1)
    y: Array = (weight.reshape(count, -1, weight[0].size) @ columns).reshape(
        len(x), len(weight), *sizes
    )
    return y if bias is None else y + per_channel(bias, y)


def conv_transpose(
    x: Array,
    weight: Array,
    strides: Array,
    pad_type: str,
    pad: Array,
    dilations: Array,
    groups: Array,
    bias: Array | None = None,
    output_shape: Array | None = None,
) -> Array:
    """Spread ``x [N, I, *D]`` by ``weight [I, O/groups, *K]``, as the gradient of ``conv`` does,
    and add ``bias [O]``.

    Returns ``[N, O, *D']``: ``pad`` is cut off, and where ``output_shape`` asks for more than ``x``
    spreads to, the rest is ``bias`` alone.
    """
    full = _spread(x, weight, strides.tolist(), dilations, int(groups))
    wanted = [None] * (x.ndim - 2) if output_shape is None else output_shape.tolist()[2:]
    same = [size * step for size, step in zip(x.shape[2:], strides.tolist(), strict=True)]
    axes = zip(full.shape[2:], same, wanted, pad.reshape(-1, 2).tolist(), strict=True)
    cuts = [_cut(*axis, pad_type=pad_type) for axis in axes]
    room = [
        (0, max(0, cut.stop - length)) for cut, length in zip(cuts, full.shape[2:], strict=True)
    ]
    y = np.pad(full, [(0, 0), (0, 0), *room])[(slice(None), slice(None), *cuts)]
    return y if bias is None else y + per_channel(bias, y)


def _spread(
    x: Array, weight: Array, strides: Sequence[int], dilations: Array, groups: int
) -> Array:
    """Return the sum of all windows ``weight * x[..., place]``, each at ``strides`` times its
    place: ``[N, O, *lengths]``.
    """
    kernel = weight.shape[2:]
    rows = weight.reshape(groups, len(weight) // groups, -1).swapaxes(
        1, 2
    )  # [groups, O/groups K, I/groups]
    columns = rows @ x.reshape(
        len(x), groups, len(weight) // groups, -1
    )  # [N, groups, O/groups K, D]
    columns = columns.reshape(len(x), groups * weight.shape[1], *kernel, *x.shape[2:])
    spans = [(size - 1) * step + 1 for size, step in zip(x.shape[2:], strides, strict=True)]
    lengths = [
        span + reach - 1 for span, reach in zip(spans, _reaches(kernel, dilations), strict=True)
    ]
    full = np.zeros((*columns.shape[:2], *lengths), columns.dtype)
    for place in np.ndindex(*kernel):
        starts = (at * gap for at, gap in zip(place, dilations.tolist(), strict=True))
        window = (
            slice(at, at + span, step)
            for at, span, step in zip(starts, spans, strides, strict=True)
        )
        full[(slice(None), slice(None), *window)] += columns[(slice(None), slice(None), *place)]
    return full


def _cut(
    length: int, same: int, wanted: int | None, given: Sequence[int], *, pad_type: str
) -> slice:
    """Return which part of ``length`` a transposed convolution keeps; ``same`` is the size that
    ``pad_type`` same gives.
    """
    before, after = given if pad_type == "custom" else (0, 0)
    size = wanted or (same if pad_type == "same" else length - before - after)
    before = max(0, length - size) // 2 if pad_type == "same" else before
    return slice(before, before + size)


def max_pool(
    x: Array, kernel_sizes: Array, strides: Array, pad_type: str, pad: Array, ceil_mode: Array
) -> Array:
    """Return the largest value of each window; padding is never the largest."""
    slides = _slides(x, kernel_sizes.tolist(), strides, pad_type, pad, ceil=bool(ceil_mode))
    return _pool(x, np.maximum, kernel_sizes, strides, slides, fill=-np.inf)


def avg_pool(
    x: Array,
    kernel_sizes: Array,
    strides: Array,
    pad_type: str,
    pad: Array,
    ceil_mode: Array,
    exclude_padding_from_average: Array,
) -> Array:
    """Return the mean of each window, of the values alone or with the zeros of the padding.

    What a window of ``ceil_mode`` reaches beyond the padding is never counted, as in torch.
    """
    slides = _slides(x, kernel_sizes.tolist(), strides, pad_type, pad, ceil=bool(ceil_mode))
    sizes, counted = x.shape[2:], slides
    if not exclude_padding_from_average:
        sizes = tuple(
            before + size + after for size, (before, after, _) in zip(sizes, slides, strict=True)
        )
        counted = [(0, 0, count) for *_, count in slides]
    counts = _pool(np.ones((1, 1, *sizes), x.dtype), np.add, kernel_sizes, strides, counted, fill=0)
    return np.asarray(_pool(x, np.add, kernel_sizes, strides, slides, fill=0) / counts)


def l2_pool(
    x: Array, kernel_sizes: Array, strides: Array, pad_type: str, pad: Array, ceil_mode: Array
) -> Array:
    """Return the root of the sum of squares of each window."""
    slides = _slides(x, kernel_sizes.tolist(), strides, pad_type, pad, ceil=bool(ceil_mode))
    return np.asarray(np.sqrt(_pool(np.square(x), np.add, kernel_sizes, strides, slides, fill=0)))


def _pool(
    x: Array,
    join: np.ufunc,
    kernel_sizes: Array,
    strides: Array,
    slides: Sequence[Slide],
    *,
    fill: float,
) -> Array:
    """Join the values of each window, one axis after the other."""
    windows = zip(kernel_sizes.tolist(), strides.tolist(), slides, strict=True)
    for axis, (size, step, (before, after, count)) in enumerate(windows, start=2):
        span = (count - 1) * step + 1
        widths = [(0, 0)] * x.ndim
        # the last window may reach further
        widths[axis] = (before, max(after, span + size - 1 - before - x.shape[axis]))
        framed = np.pad(x, widths, constant_values=fill)
        parts = (
            framed[(slice(None),) * axis + (slice(at, at + span, step),)] for at in range(size)
        )
        x = functools.reduce(join, parts)
    return x


def _reaches(kernel: Sequence[int], dilations: Array) -> list[int]:
    return [(size - 1) * gap + 1 for size, gap in zip(kernel, dilations.tolist(), strict=True)]


def _slides(
    x: Array,
    reaches: Sequence[int],
    strides: Array,
    pad_type: str,
    pad: Array,
    *,
    ceil: bool = False,
) -> list[Slide]:
    """Return how windows that reach over ``reaches`` elements slide along the spatial axes of
    ``x``.
    """
    axes = zip(x.shape[2:], reaches, strides.tolist(), pad.reshape(-1, 2).tolist(), strict=True)
    return [_slide(*axis, pad_type=pad_type, ceil=ceil) for axis in axes]


def _slide(
    size: int, reach: int, step: int, given: Sequence[int], *, pad_type: str, ceil: bool
) -> Slide:
    before, after = given if pad_type == "custom" else (0, 0)
    if pad_type in ("same", "same_lower"):
        total = max(0, (-(-size // step) - 1) * step + reach - size)
        before = total // 2 if pad_type == "same" else total - total // 2
        after = total - before
    count = (before + size + after - reach + (step - 1 if ceil else 0)) // step + 1
    if ceil and before + after > 0 and (count - 1) * step >= before + size:
        count -= 1
    if count < 1 or (ceil and (count - 1) * step >= before + size):
        raise ValueError(
            f"a window over {reach} elements by steps of {step} does not fit the axis of {size}"
        )
    return before, after, count


def per_channel(values: Array, like: Array) -> Array:
    """Return ``values [C]`` as ``[C, 1, …]``, to meet ``like [N, C, *D]``."""
    return values.reshape(-1, *[1] * (like.ndim - 2))


WINDOWS: dict[str, Operator] = {
    "avg_pool": avg_pool,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "l2_pool": l2_pool,
    "max_pool": max_pool,
}
