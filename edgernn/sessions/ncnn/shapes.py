"""The shape of every blob of an ncnn graph, layer by layer, by the table here: the layers that
edgernn writes, and what each of them asks of what it reads.

A blob has one, two or three axes, the outermost first, as numpy has them: ncnn's ``c, h, w``.
Nothing is left to the runtime, which reads outside its memory where a graph is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from edgernn.errors import ContractError
from edgernn.sessions.ncnn.text import Layer

Dims = tuple[int, ...]
Rule = Callable[[Layer, Sequence[Dims]], list[Dims]]
MOST_AXES = 3
EXACT = 31  # the key by which a layer computes in float32, whatever the runtime's options say
_MOST_ELEMENTS = 1 << 28
_PERMUTED = {  # axes → by ncnn's number, the axes in their new order, the outermost first
    2: ((0, 1), (1, 0)),
    3: ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)),
}


def follow(layers: Sequence[Layer]) -> dict[str, Dims]:
    """Return blob → its axes.

    Raises:
        ContractError: a layer is of a kind that edgernn does not write, or does not fit what it
            reads; names it.
    """
    found: dict[str, Dims] = {}
    for layer in layers:
        made = shapes_of(layer, [found[name] for name in layer.reads])
        found.update(zip(layer.makes, made, strict=True))
    return found


def shapes_of(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    """Return the axes of what ``layer`` makes of blobs of the axes ``given``; raise ContractError
    where it does not fit them.
    """
    if layer.kind not in RULES:
        raise ContractError(f"{layer.what} is no layer that edgernn writes; export it again")
    made = RULES[layer.kind](layer, given)
    if len(made) != len(layer.makes):
        raise _unfit(layer, given)
    for dims in made:
        if not 1 <= len(dims) <= MOST_AXES or min(dims) < 1 or prod(dims) > _MOST_ELEMENTS:
            raise _unfit(layer, given)
    return made


def order_number(order: Sequence[int]) -> int:
    """Return ncnn's number of an order of axes."""
    return _PERMUTED[len(order)].index(tuple(order))


def broadcast(left: Dims, right: Dims) -> Dims | None:
    """Return the axes of two blobs calculated with one another; None where they do not fit. As many
    axes each, or one of them a single number.
    """
    if (1,) in (left, right):
        return right if left == (1,) else left
    if len(left) != len(right):
        return None
    if any(a != b and 1 not in (a, b) for a, b in zip(left, right, strict=True)):
        return None
    return tuple(map(max, left, right))


def _unfit(layer: Layer, given: Sequence[Dims]) -> ContractError:
    return ContractError(f"{layer.what} does not fit what it reads, {list(map(list, given))}")


def _one(layer: Layer, given: Sequence[Dims], *, axes: Sequence[int] = (1, 2, 3)) -> Dims:
    if len(given) != 1 or len(given[0]) not in axes:
        raise _unfit(layer, given)
    return given[0]


def _sizes(layer: Layer) -> Dims:
    """Return what a layer says as width, height and channels."""
    said = [layer.whole(key) for key in (2, 1, 0) if layer.whole(key)]
    wanted = [key for key in (2, 1, 0) if layer.whole(key)]
    if wanted != list(range(len(said) - 1, -1, -1)) or any(size < 1 for size in said):
        raise ContractError(f"{layer.what} has no sizes")
    return tuple(said)


def _stored(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if given:
        raise _unfit(layer, given)
    return [_sizes(layer)]


def _same(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    return [_one(layer, given)]


def _split(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    return [_one(layer, given)] * len(layer.makes)


def _reshape(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    made = _sizes(layer)
    if prod(made) != prod(_one(layer, given)):
        raise _unfit(layer, given)
    return [made]


def _permute(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, number = _one(layer, given, axes=(2, 3)), layer.whole(0)
    if not 0 <= number < len(_PERMUTED[len(dims)]):
        raise _unfit(layer, given)
    return [tuple(dims[axis] for axis in _PERMUTED[len(dims)][number])]


def _axis(layer: Layer, dims: Dims, key: int) -> int:
    axis = layer.whole(key)
    if not 0 <= axis < len(dims):
        raise _unfit(layer, [dims])
    return axis


def _slice(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, sizes = _one(layer, given), layer.wholes(0)
    axis = _axis(layer, dims, 1)
    if sum(sizes) != dims[axis] or min(sizes, default=0) < 1:
        raise _unfit(layer, given)
    return [(*dims[:axis], size, *dims[axis + 1 :]) for size in sizes]


def _concat(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if not given:
        raise _unfit(layer, given)
    axis = _axis(layer, given[0], 0)
    around = {(len(dims), dims[:axis], dims[axis + 1 :]) for dims in given}
    if len(around) != 1:
        raise _unfit(layer, given)
    dims = given[0]
    return [(*dims[:axis], sum(own[axis] for own in given), *dims[axis + 1 :])]


def _crop(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    made = list(_one(layer, given))
    starts, ends, axes = (layer.wholes(key) for key in (9, 10, 11))
    if not len(starts) == len(ends) == len(axes) or len(set(axes)) != len(axes):
        raise _unfit(layer, given)
    for start, end, axis in zip(starts, ends, axes, strict=True):
        if not 0 <= axis < len(made) or not 0 <= start < end <= made[axis]:
            raise _unfit(layer, given)
        made[axis] = end - start
    return [tuple(made)]


def _embed(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    ids = _one(layer, given, axes=(1,))
    width, rows = layer.whole(0), layer.whole(1)
    if min(width, rows) < 1 or layer.whole(3) != width * rows or layer.whole(2):
        raise _unfit(layer, given)
    return [(ids[0], width)]


def _inner_product(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, rows = _one(layer, given, axes=(1, 2)), layer.whole(0)
    if rows < 1 or layer.whole(2) != rows * dims[-1] or layer.whole(8) or layer.whole(9):
        raise _unfit(layer, given)
    return [(*dims[:-1], rows)]


_GEMM = {2: 0, 3: 1, 4: 0, 5: 1, 6: 1, 7: 0, 10: -1}  # of a product with a matrix of integers


def _gemm(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, rows = _one(layer, given, axes=(2,)), layer.whole(8)
    others = layer.numbers.keys() - {*_GEMM, 8, 9, 18, EXACT}
    right = all(layer.whole(key) == value for key, value in _GEMM.items()) and not others
    if not right or rows < 1 or layer.whole(9) != dims[-1] or layer.whole(18) != 2:
        raise _unfit(layer, given)
    return [(dims[0], rows)]


def _matmul(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if (
        len(given) != 2
        or len(given[0]) != len(given[1])
        or len(given[0]) < 2
        or layer.numbers.keys() - {EXACT}
    ):
        raise _unfit(layer, given)
    left, right = given
    if left[-1] != right[-2] or left[:-2] != right[:-2]:
        raise _unfit(layer, given)
    return [(*left[:-1], right[-1])]


def _binary(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if not 0 <= layer.whole(0) <= 11:
        raise _unfit(layer, given)
    if layer.whole(1):
        return [_one(layer, given)]
    made = broadcast(*given) if len(given) == 2 else None
    if made is None:
        raise _unfit(layer, given)
    return [made]


def _unary(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if not 0 <= layer.whole(0) <= 19:
        raise _unfit(layer, given)
    return [_one(layer, given)]


def _softmax(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims = _one(layer, given)
    _axis(layer, dims, 0)
    return [dims]


def _reduction(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, axes = _one(layer, given), layer.wholes(3)
    if not 0 <= layer.whole(0) <= 10 or layer.whole(4):
        raise _unfit(layer, given)
    if layer.whole(1, 1):
        return [(1,)]
    if not axes or any(not 0 <= axis < len(dims) for axis in axes):
        raise _unfit(layer, given)
    return [tuple(size for axis, size in enumerate(dims) if axis not in axes) or (1,)]


def _layer_norm(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims = _one(layer, given)
    if layer.whole(0) != dims[-1]:
        raise _unfit(layer, given)
    return [dims]


def _window(layer: Layer, size: int, keys: tuple[int, ...], *, dilation: int = 1) -> int:
    """Return how often a window goes into ``size``, by the keys of its size, its stride, and the
    pads before and behind.
    """
    kernel, stride, before, behind = map(layer.whole, keys)
    if min(kernel, dilation, stride) < 1 or min(before, behind) < 0:
        raise ContractError(f"{layer.what} has a window that is none")
    return (size + before + behind - dilation * (kernel - 1) - 1) // stride + 1


def _convolution(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    channels, height, width = _one(layer, given, axes=(3,))
    rows, groups = layer.whole(0), layer.whole(7, 1)
    kernel = layer.whole(1) * layer.whole(11)
    apart = layer.kind == "ConvolutionDepthWise"
    fits = groups >= 1 and channels % groups == 0 and rows % max(groups, 1) == 0
    if not fits or (groups > 1) != apart or layer.whole(8) or layer.whole(9):
        raise _unfit(layer, given)
    if rows < 1 or layer.whole(6) != rows * (channels // groups) * kernel:
        raise _unfit(layer, given)
    high = _window(layer, height, (11, 13, 14, 16), dilation=layer.whole(12))
    return [(rows, high, _window(layer, width, (1, 3, 4, 15), dilation=layer.whole(2)))]


def _pooling(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    channels, height, width = _one(layer, given, axes=(3,))
    if layer.whole(4) or layer.whole(5) != 1 or layer.whole(0) not in (0, 1):
        raise _unfit(layer, given)
    high = _window(layer, height, (11, 12, 13, 15))
    return [(channels, high, _window(layer, width, (1, 2, 3, 14)))]


RULES: dict[str, Rule] = {
    "Input": _stored,
    "MemoryData": _stored,
    "Split": _split,
    "Reshape": _reshape,
    "Permute": _permute,
    "Slice": _slice,
    "Concat": _concat,
    "Crop": _crop,
    "Embed": _embed,
    "InnerProduct": _inner_product,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BinaryOp": _binary,
    "UnaryOp": _unary,
    "Softmax": _softmax,
    "Reduction": _reduction,
    "LayerNorm": _layer_norm,
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Pooling": _pooling,
    **dict.fromkeys(
        ("Clip", "ELU", "Erf", "HardSigmoid", "HardSwish", "Noop", "ReLU", "SELU", "Sigmoid"), _same
    ),
    **dict.fromkeys(("Softplus", "TanH"), _same),
}
