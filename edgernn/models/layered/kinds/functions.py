"""Functions of one number, by the names that layers give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from edgernn.wording import expected_one_of

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softplus": nn.functional.softplus,
    "softsign": nn.functional.softsign,
    "silu": nn.functional.silu,
    "selu": nn.functional.selu,
    "exp": torch.exp,
}


def _known(name: str) -> str:
    if name not in FUNCTIONS:
        raise ValueError(expected_one_of(name, FUNCTIONS))
    return name


FunctionName = Annotated[str, AfterValidator(_known)]


def function_of(name: str) -> Callable[[Tensor], Tensor]:
    """Return a function of the table."""
    return FUNCTIONS[name]
