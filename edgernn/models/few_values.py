"""Weights of two or three values a row, trained with a straight-through estimator.

    binary   w = s · sign(v)                          s = mean |v|
    ternary  w = s · sign(v) where |v| > Δ, else 0    Δ = 0.7 mean |v|,  s = mean of those |v|

of a row v of the matrix that the optimiser sees; the gradient of w is taken for that of v, and
nothing is rounded in what the optimiser keeps. Binary: Courbariaux et al. 2015
(https://arxiv.org/abs/1511.00363), with the scale of Rastegari et al. 2016
(https://arxiv.org/abs/1603.05279). Ternary: Li & Liu 2016 (https://arxiv.org/abs/1605.04711), with
a scale for each row.

A model is plain always but while it is trained: ``restrict`` makes its recurrent matrices so, and
what is saved are the values that they stand for, under their plain names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgernn.models.weights import named_tensors

Weights = Literal["float", "binary", "ternary"]
WEIGHTS: tuple[str, ...] = get_args(Weights)
_THRESHOLD = 0.7  # of the mean magnitude, as in the paper
_MATRICES = ("weight_ih_l", "weight_hh_l")  # of torch's recurrent layers


def binary(rows: Tensor) -> Tensor:
    """Return ``rows [N, K]`` with two values a row."""
    scale = rows.double().abs().mean(1, keepdim=True).to(rows.dtype)  # [N, 1]
    return torch.where(rows < 0, -scale, scale)


def ternary(rows: Tensor) -> Tensor:
    """Return ``rows [N, K]`` with three values a row; one of zeros stays so."""
    size = rows.double().abs()
    kept = size > _THRESHOLD * size.mean(1, keepdim=True)
    count = kept.sum(1, keepdim=True).clamp(min=1)
    scale = ((size * kept).sum(1, keepdim=True) / count).to(rows.dtype)  # [N, 1]
    return torch.where(kept, scale * rows.sign(), torch.zeros_like(rows))


_VALUES = {"binary": binary, "ternary": ternary}


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, rows: Tensor, kind: str) -> Tensor:
        return _VALUES[kind](rows)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Few(nn.Module):
    """What stands between a matrix that is learned and the one that is multiplied with."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``rows [N, K]`` with few values."""
        made: Tensor = _StraightThrough.apply(rows, self.kind)
        return made


def restrict(stack: nn.Module, weights: str) -> None:
    """Let every matrix of a recurrent stack have few values a row, in place: of its cells' linear
    layers, and of the ways past its layers. Biases stay.

    Args:
        stack: as ``make_stack`` returns it.
        weights: one of ``WEIGHTS``; ``float`` changes nothing.
    """
    if weights == "float":
        return
    for module, name in list(_matrices(stack)):
        parametrize.register_parametrization(module, name, _Few(weights))


def settle(stack: nn.Module, weights: str) -> None:
    """Round every such matrix of a plain stack to few values a row, in place: a model that was not
    trained so is then what a file of these values holds.
    """
    if weights == "float":
        return
    with torch.no_grad():
        for module, name in _matrices(stack):
            matrix = module.get_parameter(name)
            matrix.copy_(_VALUES[weights](matrix))


def is_restricted(module: nn.Module) -> bool:
    """Return whether matrices of ``module`` itself have few values a row in training."""
    return parametrize.is_parametrized(module)


def plain_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return ``named_tensors`` as a model that is not restricted has them: its matrices by their
    plain names, with the values that are multiplied with.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in named_tensors(model).items():
        owner, mark, rest = name.partition(".parametrizations.")
        if not mark:
            found[name] = tensor
            continue
        own = rest.partition(".")[0]
        found[f"{owner}.{own}"] = getattr(model.get_submodule(owner), own)
    return found


def _matrices(stack: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield every matrix of ``stack``, by its module and its name there, each once."""
    seen: set[int] = set()
    for module in stack.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            wanted = isinstance(module, nn.Linear) or name.startswith(_MATRICES)
            if wanted and parameter.dim() == 2 and id(parameter) not in seen:
                seen.add(id(parameter))
                yield module, name
