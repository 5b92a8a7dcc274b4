"""What is computed of each element by itself: functions of elements and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgernn.export.to_c.views import View


@dataclass(frozen=True)
class Load:
    """An element of a view that has the shape of the node that reads it."""

    view: View

    @property
    def dtype(self) -> str:
        """As numpy calls it."""
        return self.view.dtype


@dataclass(frozen=True)
class Number:
    """The same number for every element."""

    value: float | int | bool
    dtype: str


@dataclass(frozen=True)
class Apply:
    """A function of elements, a row of ``functions.FUNCTIONS``."""

    name: str
    arguments: tuple[Expression, ...]
    dtype: str


Expression = Load | Number | Apply


def loads(expression: Expression) -> Iterator[View]:
    """Yield the views that an expression reads."""
    if isinstance(expression, Load):
        yield expression.view
    elif isinstance(expression, Apply):
        for argument in expression.arguments:
            yield from loads(argument)
