"""Which values each operator of an XNNPACK delegate reads and writes, and that every one of them is
there when it is read: the backend trusts the numbers that it finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from edgernn.storage.flatbuffer import Table

NONE = 0xFFFFFFFF  # the number of no value
_OPERATORS = """
Add FullyConnected Softmax Sigmoid StaticTranspose Clamp Conv2d Div StaticResizeBilinear2D
StaticConstantPad AvgPooling2d Minimum DepthwiseConv2d MaxPooling2d Multiply Subtract Floor Convert
GlobalAvgPooling2d StaticReshape ArgMaxPooling2d SquareRoot Ceiling Hardswish LeakyReLU Maximum
Negate Square ELU Abs PReLU Concatenate2 Concatenate3 Concatenate4 StaticSlice
ScaledDotProductAttention BatchMatrixMultiply Concatenate5 ConvTranspose2d ReciprocalSquareRoot Log
Gelu Tanh Exp Sin Copy Cos
"""
OPERATORS = ("", *_OPERATORS.split())  # by the number of the union
_Fields = tuple[
    tuple[int, ...], tuple[int, ...]
]  # of a node's table: what is read, what is written
_UNARY: _Fields = ((0,), (1,))
PAIRS = ("Add", "Div", "Minimum", "Multiply", "Subtract", "Maximum")
_BINARY = (*PAIRS, "PReLU", "BatchMatrixMultiply")
_KERNELS = ("Conv2d", "DepthwiseConv2d", "ConvTranspose2d")
_FIELDS: dict[str, _Fields] = {
    **dict.fromkeys(_BINARY, ((0, 1), (2,))),
    **dict.fromkeys(_KERNELS, ((15, 16, 17), (18,))),
    **dict.fromkeys(("StaticTranspose", "StaticReshape", "StaticResizeBilinear2D"), ((2,), (3,))),
    **dict.fromkeys(("StaticSlice", "StaticConstantPad"), ((3,), (4,))),
    **dict.fromkeys(("ELU", "LeakyReLU"), ((1,), (2,))),
    **dict.fromkeys(("AvgPooling2d", "MaxPooling2d"), ((10,), (11,))),
    **{f"Concatenate{n}": ((1, 2, 3, 4, 7)[:n], (5,)) for n in (2, 3, 4, 5)},
    "FullyConnected": ((0, 1, 2), (3,)),
    "ArgMaxPooling2d": ((6,), (7, 8)),
    "ScaledDotProductAttention": ((0, 1, 2, 3, 4), (5,)),
}
_MOST_NUMBERS = 1 << 28  # of one value: a gigabyte


@dataclass(frozen=True)
class Node:
    """One operator, and the numbers of the values that it reads and writes."""

    operator: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]


def node_of(entry: Table) -> Node:
    """Read one operator.

    Raises:
        ValueError: it is damaged.
    """
    number, inner = entry.whole(0, "B"), entry.table(1)
    if inner is None or not 0 < number < len(OPERATORS):
        raise ValueError(f"a delegate has the operator {number}, which is none of those known")
    operator = OPERATORS[number]
    reads, writes = _FIELDS.get(operator, _UNARY)
    read = [inner.whole(place, "I") for place in reads]
    return Node(
        operator,
        tuple(place for place in read if place != NONE),
        tuple(inner.whole(place, "I") for place in writes),
    )


def check(
    nodes: Iterable[Node],
    shapes: list[tuple[int, ...]],
    *,
    constants: set[int],
    inputs: list[int],
    outputs: list[int],
) -> None:
    """Raise ValueError where an operator reads what nothing has written, writes what has a value,
    or multiplies what does not fit.

    Args:
        nodes: in their order.
        shapes: of every value.
        constants, inputs, outputs: the numbers of values.
    """
    for place, shape in enumerate(shapes):
        if prod(shape) > _MOST_NUMBERS:
            raise ValueError(f"value {place} of a delegate has the shape {list(shape)}")
    known = constants | set(inputs)
    if odd := [place for place in (*known, *outputs) if place >= len(shapes)]:
        raise ValueError(f"a delegate of {len(shapes)} values names value {odd[0]}")
    for node in nodes:
        for place in node.reads:
            if place not in known:
                raise ValueError(f"{node.operator} reads value {place}, which nothing has written")
        for place in node.writes:
            if place in known or place >= len(shapes):
                raise ValueError(f"{node.operator} writes value {place}, which is not its own")
        if node.operator == "FullyConnected":
            _check_product(shapes, node)
        known |= set(node.writes)
    if lacking := [place for place in outputs if place not in known]:
        raise ValueError(f"a delegate returns value {lacking[0]}, which nothing has written")


def _check_product(shapes: list[tuple[int, ...]], node: Node) -> None:
    given, weight, *bias = (shapes[place] for place in node.reads)
    made = shapes[node.writes[0]]
    fits = len(weight) == 2 and given[-1:] == weight[1:] and made[-1:] == weight[:1]
    if not fits or any(shape != weight[:1] for shape in bias):
        raise ValueError(
            f"a product of {list(given)} with {list(weight)} gives {list(made)}, which does not fit"
        )
