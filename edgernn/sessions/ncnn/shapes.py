"""The shape of every blob of an ncnn graph, layer by layer, by the table here: the layers that
edgernn writes, and what each of them asks of what it reads.

A blob has one, two or three axes, the outermost first, as numpy has them: ncnn's ``c, h, w``.
Nothing is left to the runtime, which reads outside its memory where a graph is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from edgernn.errors import ContractError
from edgernn.sessions.ncnn.fitting import Dims, Rule, one, unfit
from edgernn.sessions.ncnn.products import PRODUCTS
from edgernn.sessions.ncnn.text import Layer

MOST_AXES = 3
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
        raise unfit(layer, given)
    for dims in made:
        if not 1 <= len(dims) <= MOST_AXES or min(dims) < 1 or prod(dims) > _MOST_ELEMENTS:
            raise unfit(layer, given)
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


def _sizes(layer: Layer) -> Dims:
    """Return what a layer says as width, height and channels."""
    said = [layer.whole(key) for key in (2, 1, 0) if layer.whole(key)]
    wanted = [key for key in (2, 1, 0) if layer.whole(key)]
    if wanted != list(range(len(said) - 1, -1, -1)) or any(size < 1 for size in said):
        raise ContractError(f"{layer.what} has no sizes")
    return tuple(said)


def _stored(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if given:
        raise unfit(layer, given)
    return [_sizes(layer)]


def _same(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    return [one(layer, given)]


def _split(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    return [one(layer, given)] * len(layer.makes)


def _reshape(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    made = _sizes(layer)
    if prod(made) != prod(one(layer, given)):
        raise unfit(layer, given)
    return [made]


def _permute(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, number = one(layer, given, axes=(2, 3)), layer.whole(0)
    if not 0 <= number < len(_PERMUTED[len(dims)]):
        raise unfit(layer, given)
    return [tuple(dims[axis] for axis in _PERMUTED[len(dims)][number])]


def _axis(layer: Layer, dims: Dims, key: int) -> int:
    axis = layer.whole(key)
    if not 0 <= axis < len(dims):
        raise unfit(layer, [dims])
    return axis


def _slice(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, sizes = one(layer, given), layer.wholes(0)
    axis = _axis(layer, dims, 1)
    if sum(sizes) != dims[axis] or min(sizes, default=0) < 1:
        raise unfit(layer, given)
    return [(*dims[:axis], size, *dims[axis + 1 :]) for size in sizes]


def _concat(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if not given:
        raise unfit(layer, given)
    axis = _axis(layer, given[0], 0)
    around = {(len(dims), dims[:axis], dims[axis + 1 :]) for dims in given}
    if len(around) != 1:
        raise unfit(layer, given)
    dims = given[0]
    return [(*dims[:axis], sum(own[axis] for own in given), *dims[axis + 1 :])]


def _crop(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    made = list(one(layer, given))
    starts, ends, axes = (layer.wholes(key) for key in (9, 10, 11))
    if not len(starts) == len(ends) == len(axes) or len(set(axes)) != len(axes):
        raise unfit(layer, given)
    for start, end, axis in zip(starts, ends, axes, strict=True):
        if not 0 <= axis < len(made) or not 0 <= start < end <= made[axis]:
            raise unfit(layer, given)
        made[axis] = end - start
    return [tuple(made)]


def _binary(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if not 0 <= layer.whole(0) <= 11:
        raise unfit(layer, given)
    if layer.whole(1):
        return [one(layer, given)]
    made = broadcast(*given) if len(given) == 2 else None
    if made is None:
        raise unfit(layer, given)
    return [made]


def _unary(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    if not 0 <= layer.whole(0) <= 19:
        raise unfit(layer, given)
    return [one(layer, given)]


def _softmax(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims = one(layer, given)
    _axis(layer, dims, 0)
    return [dims]


def _reduction(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims, axes = one(layer, given), layer.wholes(3)
    if not 0 <= layer.whole(0) <= 10 or layer.whole(4):
        raise unfit(layer, given)
    if layer.whole(1, 1):
        return [(1,)]
    if not axes or any(not 0 <= axis < len(dims) for axis in axes):
        raise unfit(layer, given)
    return [tuple(size for axis, size in enumerate(dims) if axis not in axes) or (1,)]


def _layer_norm(layer: Layer, given: Sequence[Dims]) -> list[Dims]:
    dims = one(layer, given)
    if layer.whole(0) != dims[-1]:
        raise unfit(layer, given)
    return [dims]


RULES: dict[str, Rule] = {
    **PRODUCTS,
    "Input": _stored,
    "MemoryData": _stored,
    "Split": _split,
    "Reshape": _reshape,
    "Permute": _permute,
    "Slice": _slice,
    "Concat": _concat,
    "Crop": _crop,
    "BinaryOp": _binary,
    "UnaryOp": _unary,
    "Softmax": _softmax,
    "Reduction": _reduction,
    "LayerNorm": _layer_norm,
    **dict.fromkeys(
        ("Clip", "ELU", "Erf", "HardSigmoid", "HardSwish", "Noop", "ReLU", "SELU", "Sigmoid"), _same
    ),
    **dict.fromkeys(("Softplus", "TanH"), _same),
}
