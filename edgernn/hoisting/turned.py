"""Operators that turn time round, refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import fx

from edgernn.errors import ContractError
from edgernn.hoisting.builder import Builder
from edgernn.hoisting.places import line_of
from edgernn.hoisting.windows import along, arguments, stream_of

_aten = torch.ops.aten


def turned_rules() -> dict[Any, Callable[..., Any]]:
    """Return operator → rule, for the table of rules."""
    return {
        _aten.flip.default: _refused(
            "turns the sequence round: it needs the future. What reads a whole input backwards "
            "once may be an encoder: give that input another axis than time"
        ),
        _aten.roll.default: _refused(
            "rolls the sequence round, so that its last frames come first: it needs the future. "
            "Put zeros in front (functional.pad) and leave the last frames out"
        ),
    }


def _refused(why: str) -> Callable[[Builder, fx.Node], None]:
    def rule(builder: Builder, node: fx.Node) -> None:
        stream, dims = stream_of(builder, node), arguments(builder, node)["dims"]
        if stream is not None and (not dims or any(along(stream, dim) for dim in dims)):
            _refuse(node, why)

    return rule


def _refuse(node: fx.Node, why: str) -> NoReturn:
    raise ContractError(f"{line_of(node)} {why}")
