"""A node over other storages or views than it was made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

from edgernn.export.to_c.expressions import Apply, Expression, Load
from edgernn.export.to_c.program import Node
from edgernn.export.to_c.views import Storage, View

Change = Callable[[View], Expression]


def replaced(expression: Expression, change: Change) -> Expression:
    """Return an expression with ``change`` of every view in place of what reads it."""
    if isinstance(expression, Load):
        return change(expression.view)
    if isinstance(expression, Apply):
        arguments = tuple(replaced(own, change) for own in expression.arguments)
        return replace(expression, arguments=arguments)
    return expression


def renamed(node: Node, swapped: Mapping[Storage, Storage]) -> Node:
    """Return ``node`` with storages swapped for others, in what it writes and what it reads."""
    if not swapped:
        return node

    def view(own: View) -> View:
        return replace(own, storage=swapped.get(own.storage, own.storage))

    def of(value: object) -> object:
        if isinstance(value, View):
            return view(value)
        if isinstance(value, Load | Apply):
            return replaced(value, lambda own: Load(view(own)))
        if isinstance(value, Node):
            return renamed(value, swapped)
        return tuple(map(of, value)) if isinstance(value, tuple) else value

    changed: dict[str, Any] = {own.name: of(getattr(node, own.name)) for own in fields(node)}
    return replace(node, **changed)
