"""Views of tensors: which operators give one, and what a write through one makes of its tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.nodes import arguments, operands, operator_of
from edgernn.hoisting.places import line_of

_Call = Callable[..., fx.Node]  # adds a call to a graph
_Shape = tuple[int, ...]

_aten = torch.ops.aten

VIEWS = {
    _aten.select.int,
    _aten.slice.Tensor,
    _aten.view.default,
    _aten.reshape.default,
    _aten.transpose.int,
    _aten.permute.default,
    _aten.unsqueeze.default,
    _aten.squeeze.dim,
    _aten.expand.default,
    _aten.detach.default,
    _aten.alias.default,
    _aten.t.default,
    _aten.flatten.using_ints,
    _aten.squeeze.default,
    _aten.narrow.default,
    _aten.view_as.default,
    _aten.expand_as.default,
    _aten.movedim.int,
    _aten.chunk.default,
    _aten.split.Tensor,
    _aten.unbind.int,
    _aten.numpy_T.default,
}


def back_through(call: _Call, view: fx.Node, outer: fx.Node, value: fx.Node) -> fx.Node:
    """Return ``outer`` with ``value`` where ``view`` looks at it.

    ``call`` adds a call that stands for an old node: ``call(like, target, args)``.

    Raises:
        ContractError: edgernn cannot follow a write through that view; names the line.
    """
    seen = operands(view)[0].meta["val"]
    back = _BACK.get(operator_of(view))
    if back is None:
        raise ContractError(
            f"{line_of(view)} is written through, which edgernn cannot follow; write into a "
            "slice of the tensor itself"
        )
    return back(call, view, outer, value, tuple(seen.shape))


def _back_select(
    call: _Call, view: fx.Node, outer: fx.Node, value: fx.Node, shape: _Shape
) -> fx.Node:
    _, dim, index = operands(view)
    value = call(view, _aten.unsqueeze.default, (value, dim))
    return _around(call, view, outer, value, shape, dim, index % shape[dim], index % shape[dim] + 1)


def _back_slice(
    call: _Call, view: fx.Node, outer: fx.Node, value: fx.Node, shape: _Shape
) -> fx.Node:
    told = arguments(view)
    dim = told["dim"]
    start, end, step = slice(told["start"], told["end"], told["step"]).indices(shape[dim])
    if step != 1:
        raise ContractError(f"{line_of(view)} is written through with a step of {step}; use 1")
    return _around(call, view, outer, value, shape, dim, start, max(end, start))


def _around(
    call: _Call,
    view: fx.Node,
    outer: fx.Node,
    value: fx.Node,
    shape: _Shape,
    dim: Any,
    start: int,
    end: int,
) -> fx.Node:
    parts = []
    if start > 0:
        parts.append(call(view, _aten.slice.Tensor, (outer, dim, 0, start)))
    parts.append(value)
    if end < shape[dim]:
        parts.append(call(view, _aten.slice.Tensor, (outer, dim, end, shape[dim])))
    if len(parts) == 1:
        return value
    made = call(view, _aten.cat.default, (parts, dim))
    made.meta["val"] = operands(view)[0].meta["val"]
    return made


def _reshaped(call: _Call, view: fx.Node, outer: fx.Node, value: fx.Node, shape: _Shape) -> fx.Node:
    return call(view, _aten.view.default, (value, list(shape)))


def _swapped(call: _Call, view: fx.Node, outer: fx.Node, value: fx.Node, shape: _Shape) -> fx.Node:
    return call(view, operator_of(view), (value, *operands(view)[1:]))


def _same(call: _Call, view: fx.Node, outer: fx.Node, value: fx.Node, shape: _Shape) -> fx.Node:
    return value


_BACK: dict[Any, Callable[[_Call, fx.Node, fx.Node, fx.Node, _Shape], fx.Node]] = {
    _aten.select.int: _back_select,
    _aten.slice.Tensor: _back_slice,
    _aten.view.default: _reshaped,
    _aten.reshape.default: _reshaped,
    _aten.flatten.using_ints: _reshaped,
    _aten.unsqueeze.default: _reshaped,
    _aten.squeeze.dim: _reshaped,
    _aten.squeeze.default: _reshaped,
    _aten.transpose.int: _swapped,
    _aten.t.default: _swapped,
    _aten.detach.default: _same,
    _aten.alias.default: _same,
}
