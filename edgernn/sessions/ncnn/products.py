"""The rules of layers that multiply: what they ask of what they read, and the axes of what they
make.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgernn.errors import ContractError
from edgernn.sessions.ncnn.fitting import EXACT, Dims, Rule, one, unfit
from edgernn.sessions.ncnn.text import Layer

GATES = {"LSTM": 4, "GRU": 3}


def _embed(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    ids = one(layer, given, axes=(1,))
    width, rows = layer.whole(0), layer.whole(1)
    if min(width, rows) < 1 or layer.whole(3) != width * rows or layer.whole(2):
        raise unfit(layer, given)
    return [(ids[0], width)]


def _inner_product(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, rows = one(layer, given, axes=(1, 2)), layer.whole(0)
    if rows < 1 or layer.whole(2) != rows * dims[-1] or layer.whole(8) or layer.whole(9):
        raise unfit(layer, given)
    return [(*dims[:-1], rows)]


_GEMM = {2: 0, 3: 1, 4: 0, 5: 1, 6: 1, 7: 0, 10: -1}  # of a product with a matrix of integers


def _gemm(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, rows = one(layer, given, axes=(2,)), layer.whole(8)
    others = layer.numbers.keys() - {*_GEMM, 8, 9, 18, EXACT}
    right = all(layer.whole(key) == value for key, value in _GEMM.items()) and not others
    if not right or rows < 1 or layer.whole(9) != dims[-1] or layer.whole(18) != 2:
        raise unfit(layer, given)
    return [(dims[0], rows)]


def _matmul(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if (
        len(given) != 2
        or len(given[0]) != len(given[1])
        or len(given[0]) < 2
        or layer.numbers.keys() - {EXACT}
    ):
        raise unfit(layer, given)
    left, right = given
    if left[-1] != right[-2] or left[:-2] != right[:-2]:
        raise unfit(layer, given)
    return [(*left[:-1], right[-1])]


def _recurrent(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    """One direction over T steps, from a state that goes in to one that comes out."""
    gates, hidden = GATES[layer.kind], layer.whole(0)
    states = 2 if layer.kind == "LSTM" else 1
    others = layer.numbers.keys() - {0, 1, 2, EXACT, *([3] if states == 2 else [])}
    if len(given) != 1 + states or others or layer.whole(2) or len(given[0]) != 2 or hidden < 1:
        raise unfit(layer, given)
    steps, width = given[0]
    wrong = layer.whole(1) != gates * hidden * width or layer.whole(3, hidden) != hidden
    if wrong or any(state != (1, hidden) for state in given[1:]):
        raise unfit(layer, given)
    return [(steps, hidden), *[(1, hidden)] * states]


def _window(layer: Layer, size: int, keys: tuple[int, ...], *, dilation: int = 1) -> int:
    """Return how often a window goes into ``size``, by the keys of its size, its stride, and the
    pads before and behind.
    """
    kernel, stride, before, behind = map(layer.whole, keys)
    if min(kernel, dilation, stride) < 1 or min(before, behind) < 0:
        raise ContractError(f"{layer.what} has a window that is none")
    return (size + before + behind - dilation * (kernel - 1) - 1) // stride + 1


def _convolution(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    channels, height, width = one(layer, given, axes=(3,))
    rows, groups = layer.whole(0), layer.whole(7, 1)
    kernel = layer.whole(1) * layer.whole(11)
    apart = layer.kind == "ConvolutionDepthWise"
    fits = groups >= 1 and channels % groups == 0 and rows % max(groups, 1) == 0
    if not fits or (groups > 1) != apart or layer.whole(8) or layer.whole(9):
        raise unfit(layer, given)
    if rows < 1 or layer.whole(6) != rows * (channels // groups) * kernel:
        raise unfit(layer, given)
    high = _window(layer, height, (11, 13, 14, 16), dilation=layer.whole(12))
    return [(rows, high, _window(layer, width, (1, 3, 4, 15), dilation=layer.whole(2)))]


def _pooling(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    channels, height, width = one(layer, given, axes=(3,))
    if layer.whole(4) or layer.whole(5) != 1 or layer.whole(0) not in (0, 1):
        raise unfit(layer, given)
    high = _window(layer, height, (11, 12, 13, 15))
    return [(channels, high, _window(layer, width, (1, 2, 3, 14)))]


PRODUCTS: dict[str, Rule] = {
    "Embed": _embed,
    "InnerProduct": _inner_product,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Pooling": _pooling,
}
