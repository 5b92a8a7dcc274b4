"""How elementwise nodes are walked together: over which axes, and how far each view goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgernn.export.to_c.program import Pointwise
from edgernn.export.to_c.views import View, collapsed

_MOST_AXES = 2  # rows, and elements of a row


@dataclass(frozen=True)
class Walk:
    """Axes, and for each node how far its ``out`` and each view that it reads go on along them."""

    shape: tuple[int, ...]
    strides: tuple[tuple[tuple[int, ...], ...], ...]


def walk(parts: Sequence[Pointwise]) -> Walk | None:
    """Return how ``parts`` are walked in one loop nest; None where they are not walked alike."""
    if len({bare(part.out.shape) for part in parts}) == 1:
        views = [view for part in parts for view in _views(part)]
        own = [_bare_strides(view) for view in views]
        shape, strides = collapsed(bare(parts[0].out.shape), own)
        if len(shape) <= _MOST_AXES:
            left = iter(strides)
            return Walk(shape, tuple(tuple(next(left) for _ in _views(part)) for part in parts))
    found = [flat(part) for part in parts]
    if any(own is None for own in found) or len({part.out.size for part in parts}) > 1:
        return None
    size = parts[0].out.size
    return Walk(
        (size,) if size > 1 else (),
        tuple(
            tuple((step,) if size > 1 else () for step in (1, *(s for _, s in own)))
            for own in found
            if own is not None
        ),
    )


def flat(node: Pointwise) -> list[tuple[int, int]] | None:
    """Return for every view that ``node`` reads where it begins and how far it goes on a step, as
    its elements are walked in order; None where they are not walked evenly.
    """
    views = node.reads()
    shape, strides = collapsed(node.out.shape, [node.out.strides, *(v.strides for v in views)])
    if len(shape) > 1 or (shape and strides[0] != (1,)):
        return None
    return [(v.offset, own[0] if own else 0) for v, own in zip(views, strides[1:], strict=True)]


def bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of more than one element."""
    return tuple(size for size in shape if size != 1)


def _bare_strides(view: View) -> tuple[int, ...]:
    return tuple(step for size, step in zip(view.shape, view.strides, strict=True) if size != 1)


def _views(part: Pointwise) -> tuple[View, ...]:
    return (part.out, *part.reads())
