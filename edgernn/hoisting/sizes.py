"""Which numbers of a graph hang on the sizes of its inputs: found by capturing it at other sizes.

Captured with 2 rows and 8 frames, a reshape says ``[16, 40]``; captured with 3 rows it says
``[24, 40]``, with 9 frames ``[18, 40]``: so it means batch times time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor, fx

from edgernn.hoisting.nodes import known, operands, operator_of

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Length:
    """A whole number that hangs on sizes: ``base + per · axis``, or ``per · axis · axis``.

    Attributes:
        axes: the axes that it hangs on, one or two.
        per: by how much.
        base: what is left where every axis is 0.
    """

    axes: tuple[str, ...]
    per: Fraction
    base: int = 0

    def at(self, sizes: Sizes) -> int:
        """Return the number for ``sizes``."""
        return self.base + int(self.product(dict(sizes)))

    def product(self, sizes: Mapping[str, int | Fraction]) -> Fraction:
        """Return the part that grows."""
        grown = self.per
        for axis in self.axes:
            grown *= sizes[axis]
        return grown


Number = int | Length


def fit(found: int, others: Mapping[str, int], sizes: Sizes, changed: Sizes) -> Number | None:
    """Return what a number is that was ``found`` at ``sizes`` and ``others[axis]`` where that one
    axis was ``changed[axis]``; None where it is nothing that ``Length`` can say.
    """
    moved = [axis for axis, other in others.items() if other != found]
    if not moved:
        return found
    if len(moved) == 1:
        axis = moved[0]
        per = Fraction(others[axis] - found, changed[axis] - sizes[axis])
        base = found - per * sizes[axis]
        return Length((axis,), per, int(base)) if base.denominator == 1 else None
    whole = Fraction(found)
    for axis in moved:
        if Fraction(others[axis], changed[axis]) != Fraction(found, sizes[axis]):
            return None
        whole /= sizes[axis]
    return Length(tuple(sorted(moved)), whole)


@dataclass
class Sized:
    """A captured graph whose numbers say what they hang on.

    Attributes:
        args, kwargs: node → its arguments with ``Length`` in them.
        shapes: node → the shape of its tensor, with ``Length`` in it.
    """

    args: dict[fx.Node, tuple[Any, ...]] = field(default_factory=dict)
    kwargs: dict[fx.Node, dict[str, Any]] = field(default_factory=dict)
    shapes: dict[fx.Node, tuple[Number, ...]] = field(default_factory=dict)

    def axis_of(self, node: fx.Node, axis: str) -> int | None:
        """Return the first dimension of a node's tensor that grows with ``axis``."""
        for place, size in enumerate(self.shapes.get(node, ())):
            if isinstance(size, Length) and axis in size.axes:
                return place
        return None


def sized(
    nodes: Sequence[fx.Node],
    others: Mapping[str, Sequence[fx.Node]],
    sizes: Sizes,
    changed: Sizes,
) -> Sized | None:
    """Compare captures node by node; return None where they are not the same but for numbers."""
    if any(len(other) != len(nodes) for other in others.values()):
        return None
    found = Sized()
    for place, node in enumerate(nodes):
        beside = {axis: other[place] for axis, other in others.items()}
        if any(
            (o.op, o.target) != (node.op, operator_of(node))
            for o in beside.values()
            if o.op[0] != "p"
        ):
            return None

        def number(value: int, *at: int) -> Number | None:
            return fit(value, dict(zip(others, at, strict=True)), sizes, changed)

        try:
            found.args[node] = _walk(operands(node), [o.args for o in beside.values()], number)
            found.kwargs[node] = _walk(node.kwargs, [o.kwargs for o in beside.values()], number)
            if isinstance(node.meta.get("val"), Tensor):
                found.shapes[node] = _walk(
                    tuple(known(node).shape),
                    [tuple(known(o).shape) for o in beside.values()],
                    number,
                )
        except _DifferentError:
            return None
    return found


def with_time(found: Sized, nodes: Sequence[fx.Node], frames: int) -> Sized:
    """Read every number that is ``frames``, or rows times ``frames``, as time: for a capture with
    unrolled loops, which is another graph at another length. ``frames`` must be a number that
    stands nowhere else in the network.
    """

    def number(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(number(part) for part in value)
        if isinstance(value, dict):
            return {name: number(part) for name, part in value.items()}
        if isinstance(value, Length) and value.base == 0 and value.per % frames == 0:
            return Length(tuple(sorted((*value.axes, "time"))), value.per / frames)
        if isinstance(value, int) and not isinstance(value, bool) and value == frames:
            return Length(("time",), Fraction(1))
        return value

    timed = Sized()
    for node in nodes:
        timed.args[node], timed.kwargs[node] = number(found.args[node]), number(found.kwargs[node])
        if node in found.shapes:
            timed.shapes[node] = number(found.shapes[node])
    return timed


class _DifferentError(Exception):
    """Two captures differ in more than numbers."""


def _walk(value: Any, others: Sequence[Any], number: Callable[..., Number | None]) -> Any:
    if isinstance(value, (list, tuple)):
        if any(type(o) is not type(value) or len(o) != len(value) for o in others):
            raise _DifferentError
        return tuple(
            _walk(part, [other[place] for other in others], number)
            for place, part in enumerate(value)
        )
    if isinstance(value, dict):
        if any(o.keys() != value.keys() for o in others):
            raise _DifferentError
        return {name: _walk(value[name], [o[name] for o in others], number) for name in value}
    if isinstance(value, int) and not isinstance(value, bool):
        if any(not isinstance(other, int) for other in others):
            raise _DifferentError
        length = number(int(value), *(int(o) for o in others))
        if length is None:
            raise _DifferentError
        return length
    return value
