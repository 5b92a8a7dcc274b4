"""Operators of Core ML programs that read pictures: convolutions, pools, norms of channels and
changes of size; in numpy.

A picture is ``x [N, C, *D]`` with one to three spatial axes D. Each function takes the operator's
inputs under the operator's own input names, as arrays, and returns an array. Semantics are those
that coremltools documents in ``converters/mil/mil/ops/defs``; where that leaves a choice, those
that its tests expect of devices: ``same`` puts an odd zero behind, an even window of
``local_response_norm`` reaches one further back, and ``resize_nearest_neighbor`` looks from the
pixels' centres. A function never changes what it is given and knows nothing of float16:
``mil_program`` widens float16 inputs to float32 and rounds the result once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgernn.sessions.mil.arithmetic import layer_norm

Array = np.ndarray
Operator = Callable[..., Any]
Slide = tuple[
    int, int, int
]  # along one axis: how much is padded before and after, and at how many places the window stands

PAD_TYPES = ("custom", "same", "same_lower", "valid")
TRANSPOSED_PAD_TYPES = ("custom", "same", "valid")
SAMPLING_MODES: dict[
    str, Callable[[Array, int, int], Array]
] = {  # place in the result, sizes before and after → place in x
    "ALIGN_CORNERS": lambda at, old, new: (
        at * (old - 1) / (new - 1) if new > 1 else at + (old - 1) / 2
    ),
    "DEFAULT": lambda at, old, new: at * old / new,
    "OFFSET_CORNERS": lambda at, old, new: (at + 0.5) * max(1, old - 1) / new,
    "STRICT_ALIGN_CORNERS": lambda at, old, new: at * (old - 1) / max(1, new - 1),
    "UNALIGN_CORNERS": lambda at, old, new: (at + 0.5) * old / new - 0.5,
}


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
    columns = windows.reshape(
        len(x), count, weight[0].size, -1
    )  # one matrix product per row of the batch and group
    y: Array = (weight.reshape(count, -1, weight[0].size) @ columns).reshape(
        len(x), len(weight), *sizes
    )
    return y if bias is None else y + _per_channel(bias, y)


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
    return y if bias is None else y + _per_channel(bias, y)


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
        widths[axis] = (
            before,
            max(after, span + size - 1 - before - x.shape[axis]),
        )  # the last window may reach further
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


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    epsilon: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
) -> Array:
    """Normalise by the given ``mean [C]`` and ``variance [C]``, then scale by ``gamma [C]`` and add
    ``beta [C]``.
    """
    return _scaled(
        (x - _per_channel(mean, x)) / np.sqrt(_per_channel(variance, x) + epsilon), gamma, beta
    )


def instance_norm(
    x: Array, epsilon: Array, gamma: Array | None = None, beta: Array | None = None
) -> Array:
    """Normalise each channel of each row over its spatial axes, then scale by ``gamma [C]`` and add
    ``beta [C]``.
    """
    return _scaled(layer_norm(x, np.arange(2, x.ndim), epsilon), gamma, beta)


def local_response_norm(x: Array, size: Array, alpha: Array, beta: Array, k: Array) -> Array:
    """Return ``x / (k + alpha / size * s) ** beta``, s the sum of squares over the ``size``
    channels around each.
    """
    reach = int(size)
    around = [(0, 0), (reach // 2, (reach - 1) // 2), *[(0, 0)] * (x.ndim - 2)]
    sums = sliding_window_view(np.pad(np.square(x), around), reach, 1).sum(-1)
    return np.asarray(x / (k + alpha / reach * sums) ** beta)


def _scaled(y: Array, gamma: Array | None, beta: Array | None) -> Array:
    y = y if gamma is None else y * _per_channel(gamma, y)
    return y if beta is None else y + _per_channel(beta, y)


def _per_channel(values: Array, like: Array) -> Array:
    return values.reshape(-1, *[1] * (like.ndim - 2))


def upsample_nearest_neighbor(
    x: Array, scale_factor_height: Array, scale_factor_width: Array
) -> Array:
    """Repeat pixels of ``x [..., H, W]``: the one at ``i * size / new size``, rounded down."""
    for axis, new in zip(
        (-2, -1), _scaled_sizes(x, scale_factor_height, scale_factor_width), strict=True
    ):
        x = x.take(np.arange(new) * x.shape[axis] // new, axis)
    return x


def resize_nearest_neighbor(x: Array, target_size_height: Array, target_size_width: Array) -> Array:
    """Repeat or drop pixels of ``x [..., H, W]``: the one under the centre ``(i + 0.5) * size / new
    size``.
    """
    for axis, new in ((-2, int(target_size_height)), (-1, int(target_size_width))):
        x = x.take((2 * np.arange(new) + 1) * x.shape[axis] // (2 * new), axis)
    return x


def upsample_bilinear(
    x: Array,
    scale_factor_height: Array,
    scale_factor_width: Array,
    align_corners: Array,
    half_pixel_centers: Array | None = None,
) -> Array:
    """Interpolate ``x [..., H, W]`` at the corners of the grid, at its pixels' centres, or at
    neither.
    """
    centred = not align_corners if half_pixel_centers is None else bool(half_pixel_centers)
    if align_corners and centred:
        raise ValueError("align_corners and half_pixel_centers exclude each other")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if centred else "DEFAULT"
    return resize_bilinear(x, *_scaled_sizes(x, scale_factor_height, scale_factor_width), mode)


def resize_bilinear(
    x: Array, target_size_height: Array | int, target_size_width: Array | int, sampling_mode: str
) -> Array:
    """Interpolate ``x [..., H, W]`` to a size, one axis after the other, at the places of
    ``SAMPLING_MODES``.
    """
    for axis, new in ((-2, int(target_size_height)), (-1, int(target_size_width))):
        last = x.shape[axis] - 1
        places = SAMPLING_MODES[sampling_mode](
            np.arange(new, dtype=np.float64), last + 1, new
        ).clip(0, last)
        left = np.floor(places).astype(np.intp)
        share = (places - left).astype(x.dtype).reshape(-1, *[1] * (-1 - axis))
        x = x.take(left, axis) * (1 - share) + x.take(np.minimum(left + 1, last), axis) * share
    return x


def _scaled_sizes(x: Array, height: Array, width: Array) -> tuple[int, int]:
    """Return the new height and width in the factors' own precision, as coremltools computes the
    declared shape.
    """
    return int(np.floor(height * x.shape[-2])), int(np.floor(width * x.shape[-1]))


def crop(x: Array, crop_height: Array, crop_width: Array) -> Array:
    """Cut pixels of ``x [..., H, W]`` off before and after, along the height and along the
    width.
    """
    (top, bottom), (left, right) = crop_height.tolist(), crop_width.tolist()
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def pixel_shuffle(x: Array, upscale_factor: Array) -> Array:
    """Lay ``f * f`` channels out as squares of pixels: ``[N, C f f, H, W]`` to ``[N, C, H f, W
    f]``.
    """
    (rows, _, height, width), f = x.shape, int(upscale_factor)
    return (
        x.reshape(rows, -1, f, f, height, width)
        .transpose(0, 1, 4, 2, 5, 3)
        .reshape(rows, -1, height * f, width * f)
    )


def pixel_unshuffle(x: Array, downscale_factor: Array) -> Array:
    """Undo ``pixel_shuffle``: ``[N, C, H f, W f]`` to ``[N, C f f, H, W]``."""
    (rows, _, height, width), f = x.shape, int(downscale_factor)
    squares = x.reshape(rows, -1, height // f, f, width // f, f).transpose(0, 1, 3, 5, 2, 4)
    return squares.reshape(rows, -1, height // f, width // f)


IMAGE: dict[str, Operator] = {
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "crop": crop,
    "instance_norm": instance_norm,
    "l2_pool": l2_pool,
    "local_response_norm": local_response_norm,
    "max_pool": max_pool,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
