"""Convolutions and windows, over one or two axes; one axis is a picture of one row."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from edgernn.export.to_ncnn.builder import Shape, Value, listed, raw
from edgernn.export.to_ncnn.call import Call, Handler


def convolve(call: Call) -> Value:
    """Add a convolution with a constant kernel."""
    value, kernel = call[0], call.constant(1)
    rows, _, *window = kernel.shape
    groups = int(call.get("group", 1))
    bias = None if call.maybe(2) is None else call.constant(2)
    numbers = {
        0: rows,
        **_window(call, window),
        5: int(bias is not None),
        6: int(kernel.size),
        **({7: groups} if groups > 1 else {}),
    }
    content = call.build.matrix(kernel) + (b"" if bias is None else raw(bias))
    kind = "ConvolutionDepthWise" if groups > 1 else "Convolution"
    picture = call.build.blob(value, _picture(call, value.shape))
    blob = call.build.one(kind, [picture], numbers, name=call.name, weights=content)
    return call.build.value(blob, call.shape)


def pool(call: Call, *, mean: bool) -> Value:
    """Add the mean or the largest element of windows."""
    value = call[0]
    if call.get("ceil_mode") or any(one != 1 for one in call.get("dilations") or [1]):
        raise call.refusal("has windows that ncnn places otherwise")
    own = _window(call, list(call.get("kernel_shape")))
    numbers = {0: int(mean), 1: own[1], 11: own[11], 2: own[3], 12: own[13], 3: own[4]}
    numbers |= {13: own[14], 14: own[15], 15: own[16], 5: 1}
    numbers |= {6: int(call.get("count_include_pad", 0))}
    picture = call.build.blob(value, _picture(call, value.shape))
    return call.build.value(call.build.one("Pooling", [picture], numbers), call.shape)


def pool_all(call: Call) -> Value:
    """Add the mean over every axis but the channels."""
    value = call[0]
    channels, size = value.shape[1], prod(value.shape[2:])
    _batch_of_one(call, value.shape)
    if size == 1:
        return Value(call.shape, value.blob)
    blob = call.build.blob(value, (channels, size))
    numbers = {0: 3, 1: 0, 4: 0, 5: 1, **listed(3, 1)}
    return call.build.value(call.build.one("Reduction", [blob], numbers), call.shape)


def batch_norm(call: Call) -> Value:
    """Multiply each channel by a number and add another."""
    value = call[0]
    scale, bias, mean, variance = (call.constant(place).astype(np.float64) for place in range(1, 5))
    factor = scale / np.sqrt(variance + call.get("epsilon", 1e-5))
    shape = (-1, *(1,) * (len(value.shape) - 2))
    whole = tuple(size for size in value.shape[1:])
    parts = []
    for array in (factor, bias - mean * factor):
        spread = np.asarray(array, np.float32).reshape(shape)
        dims = tuple(size for size, wanted in zip(spread.shape, whole, strict=True) if wanted != 1)
        parts.append((Value(spread.shape, array=spread), dims or (1,)))
    blob = call.build.blob(value)
    for kind, (part, dims) in zip((2, 0), parts, strict=True):
        blob = call.build.one("BinaryOp", [blob, call.build.blob(part, dims)], {0: kind})
    return call.build.value(blob, call.shape)


def _batch_of_one(call: Call, shape: Shape) -> None:
    if shape[0] != 1:
        raise call.refusal(f"has a batch of {shape[0]}, and ncnn takes one row")


def _picture(call: Call, shape: Shape) -> Shape:
    """Return the axes of a picture: channels, height and width."""
    _batch_of_one(call, shape)
    if len(shape) not in (3, 4):
        raise call.refusal(f"is over {len(shape) - 2} axes, expected 1 or 2")
    return (shape[1], 1, shape[2]) if len(shape) == 3 else shape[1:]


def _window(call: Call, kernel: list[int]) -> dict[int, int]:
    """Return kernel, dilation, stride and pads, by the keys of a convolution."""
    axes = len(kernel)
    strides = list(call.get("strides") or [1] * axes)
    dilations = list(call.get("dilations") or [1] * axes)
    pads = list(call.get("pads") or [0] * (2 * axes))
    if call.get("auto_pad", "NOTSET") not in ("NOTSET", b"NOTSET", "VALID"):
        raise call.refusal("says its pads in words")
    if axes == 1:
        kernel, strides, dilations = [1, *kernel], [1, *strides], [1, *dilations]
        pads = [0, pads[0], 0, pads[1]]
    return {
        1: kernel[1],
        11: kernel[0],
        2: dilations[1],
        12: dilations[0],
        3: strides[1],
        13: strides[0],
        4: pads[1],
        14: pads[0],
        15: pads[3],
        16: pads[2],
    }


CONVOLUTIONS: dict[str, Handler] = {
    "Conv": convolve,
    "AveragePool": partial(pool, mean=True),
    "MaxPool": partial(pool, mean=False),
    "GlobalAveragePool": pool_all,
    "BatchNormalization": batch_norm,
}
