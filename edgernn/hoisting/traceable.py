"""Sizes that a tracer follows: operators whose numbers are read from the inputs at every call.

torch's tracer follows a size into a function of ``torch`` or a method of ``Tensor``, and not into
an operator of ``torch.ops``, where it would become the number that the example had.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from edgernn.hoisting.nodes import operator_of


def follow_sizes(graph: fx.Graph) -> None:
    """Let every operator of ``graph`` that is given a computed number be called so that a tracer
    follows the number; in place.
    """
    for node in graph.nodes:
        operator = operator_of(node)
        if isinstance(operator, torch._ops.OpOverload) and _has_computed_number(node):
            node.target = _function(operator)


def _has_computed_number(node: fx.Node) -> bool:
    told = dict(zip((a.name for a in node.target._schema.arguments), node.args, strict=False))  # type: ignore[union-attr]
    told |= node.kwargs
    return any(
        "Tensor" not in str(argument.type) and _nodes_in(told.get(argument.name))
        for argument in node.target._schema.arguments  # type: ignore[union-attr]
    )


def _nodes_in(value: Any) -> bool:
    found: list[fx.Node] = []
    fx.map_arg(value, found.append)
    return bool(found)


def _function(operator: Any) -> Callable[..., Any]:
    """Return what calls ``operator`` from Python with the same arguments."""
    name = operator._schema.name.split("::")[1]
    own = _OWN.get(name)
    if own is None:
        method = getattr(Tensor, name, None)
        first = operator._schema.arguments[0]
        own = method if method is not None and first.name == "self" else getattr(torch, name, None)
    return operator if own is None else own


def _slice(
    x: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    return x[(slice(None),) * (dim % x.dim()) + (slice(start, end, step),)]


_OWN: dict[str, Callable[..., Any]] = {"slice": _slice, "view": Tensor.reshape}
