"""The options of what goes over time, which every ``edgernn train`` takes alike."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

import typer

from edgernn.cli.choices import (
    completing,
    one_of,
    read_share,
    stack_names,
    way_names,
    weight_names,
)

_PANEL = "The model"
_model = partial(typer.Option, rich_help_panel=_PANEL)
C = TypeVar("C", bound=Callable[..., Any])


def _stack(
    cell: Annotated[str, _model(help=one_of(stack_names()), **completing(stack_names))] = "lstm",
    hidden: Annotated[int, _model(help="Width of a layer.")] = 64,
    layers: Annotated[int, _model(help="Layers, 1 to 256.")] = 1,
    between: Annotated[
        str,
        _model(
            help="What passes between layers: plain, residual or highway.", **completing(way_names)
        ),
    ] = "plain",
    weights: Annotated[
        str,
        _model(
            help="Values of the layers' matrices: float, binary or ternary.",
            **completing(weight_names),
        ),
    ] = "float",
    cell_options: Annotated[
        str | None, _model(help="Of the cell: projection=32, or activation=relu.")
    ] = None,
    kernel: Annotated[
        int | None, _model(help="Steps, of conv_lstm pixels, that a convolution sees; default 3.")
    ] = None,
    growth: Annotated[
        int | None, _model(help="How dilations of causal convolutions grow by layer; default 2.")
    ] = None,
    dropout: Annotated[
        float, _model(parser=read_share, help="Share of values dropped in training.")
    ] = 0.0,
) -> None:
    """Hold the options; never called."""


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, their annotations evaluated."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = inspect.signature(function).parameters
    return {name: p.replace(annotation=hints[name]) for name, p in found.items()}


def stacked(**defaults: Any) -> Callable[[C], C]:
    """Give a command the options of a stack in place of its ``**stack``, which then holds the
    fields of ``models.layered.over_time.Stack``.

    Args:
        defaults: of options, by their names, where they are others: ``hidden=128``.
    """

    def decorate(command: C) -> C:
        own = [p for p in parameters_of(command).values() if p.kind is not p.VAR_KEYWORD]
        stack = [
            p.replace(default=defaults.get(name, p.default), kind=p.KEYWORD_ONLY)
            for name, p in parameters_of(_stack).items()
        ]
        named = [p.replace(kind=p.KEYWORD_ONLY) for p in own]
        at = next((place for place, p in enumerate(named) if _panel(p) == _PANEL), len(named))
        every = [*named[:at], *stack, *named[at:]]
        made: Any = command
        made.__signature__ = inspect.Signature(every)
        made.__annotations__ = {p.name: p.annotation for p in every}
        return command

    return decorate


def stack_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a stack that were said."""
    return {name: value for name, value in given.items() if value is not None}


def _panel(parameter: inspect.Parameter) -> str | None:
    """Return under which heading an option stands."""
    told = getattr(parameter.annotation, "__metadata__", ())
    return next((getattr(option, "rich_help_panel", None) for option in told), None)
