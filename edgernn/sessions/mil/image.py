"""Operators of Core ML programs that read pictures: norms of channels and changes of size; in
numpy. Those that slide a window stand in ``windows``.

A picture is ``x [N, C, *D]`` with one to three spatial axes D. Each function takes the operator's
inputs under the operator's own input names, as arrays, and returns an array. Semantics are those
that coremltools documents in ``converters/mil/mil/ops/defs``; where that leaves a choice, those
that its tests expect of devices: ``same`` puts an odd zero behind, an even window of
``local_response_norm`` reaches one further back, and ``resize_nearest_neighbor`` looks from the
pixels' centres. A function never changes what it is given and knows nothing of float16:
``program`` widens float16 inputs to float32 and rounds the result once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgernn.sessions.mil.arithmetic import layer_norm
from edgernn.sessions.mil.windows import Array, Operator, per_channel

# place in the result, sizes before and after → place in x
SAMPLING_MODES: dict[str, Callable[[Array, int, int], Array]] = {
    "ALIGN_CORNERS": lambda at, old, new: (
        at * (old - 1) / (new - 1) if new > 1 else at + (old - 1) / 2
    ),
    "DEFAULT": lambda at, old, new: at * old / new,
    "OFFSET_CORNERS": lambda at, old, new: (at + 0.5) * max(1, old - 1) / new,
    "STRICT_ALIGN_CORNERS": lambda at, old, new: at * (old - 1) / max(1, new - 1),
    "UNALIGN_CORNERS": lambda at, old, new: (at + 0.5) * old / new - 0.5,
}


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
        (x - per_channel(mean, x)) / np.sqrt(per_channel(variance, x) + epsilon), gamma, beta
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
    y = y if gamma is None else y * per_channel(gamma, y)
    return y if beta is None else y + per_channel(beta, y)


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
    "batch_norm": batch_norm,
    "crop": crop,
    "instance_norm": instance_norm,
    "local_response_norm": local_response_norm,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
