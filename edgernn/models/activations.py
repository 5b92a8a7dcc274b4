"""Functions of a number, by the names that files give them; cells and layers take them as options.

tanh, sigmoid, relu, softplus, softsign, silu, gelu (by erf), selu    as in torch
linear              x
elu                 x where x > 0, else exp(x) - 1
leaky_relu          x where x > 0, else 0.01 x (torch's slope)
hard_sigmoid        clip(x / 6 + 1/2, 0, 1): torch, and Keras 3
hard_sigmoid_fifth  clip(x / 5 + 1/2, 0, 1): Keras 1 and 2, Theano, and ONNX's HardSigmoid
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor
from torch.nn import functional

from edgernn.wording import expected_one_of

Function = Callable[[Tensor], Tensor]


def _hard_sigmoid(x: Tensor) -> Tensor:
    return (x / 6 + 0.5).clamp(0.0, 1.0)


def _hard_sigmoid_fifth(x: Tensor) -> Tensor:
    return (0.2 * x + 0.5).clamp(0.0, 1.0)


def _linear(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Function] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": _linear,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_fifth": _hard_sigmoid_fifth,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "leaky_relu": functional.leaky_relu,
}


def _known(name: str) -> str:
    if name not in ACTIVATIONS:
        raise ValueError(expected_one_of(name, ACTIVATIONS))
    return name


Activation = Annotated[str, AfterValidator(_known)]  # a name of the table, as a Record's field
