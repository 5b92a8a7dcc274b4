"""What a node of a graph holds, typed for those who know what they look for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx


def operands(node: fx.Node) -> Any:
    """Return the positional arguments of a node."""
    return node.args


def operator_of(node: fx.Node) -> Any:
    """Return what a node calls."""
    return node.target


def nodes_in(value: Any) -> list[fx.Node]:
    """Return the nodes in arguments, however deep."""
    found: list[fx.Node] = []
    fx.map_arg(value, found.append)
    return found


def known(node: fx.Node) -> Any:
    """Return the tensor, without data, that a node was seen to give."""
    return node.meta["val"]


def arguments(node: fx.Node) -> dict[str, Any]:
    """Return the arguments of an operator's call by their names, defaults filled in."""
    schema = operator_of(node)._schema.arguments
    told = dict(zip((a.name for a in schema), node.args, strict=False)) | dict(node.kwargs)
    return {a.name: told.get(a.name, a.default_value) for a in schema}


def run(node: fx.Node, seen: Callable[[fx.Node], Any]) -> Any:
    """Call what a node calls, on what ``seen`` says its operands are."""
    with torch.no_grad():
        return operator_of(node)(*fx.map_arg(node.args, seen), **fx.map_arg(node.kwargs, seen))


def tensors_in(value: Any) -> list[Tensor]:
    """Return the tensors of a result: itself, or its parts."""
    return list(value) if isinstance(value, (tuple, list)) else [value]
