"""Operators of torch that compute, written in other ones; see ``rewrites``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from edgernn.errors import ContractError

Number = int | float | bool
Either = Tensor | int | float


def floor_divide(x: Tensor, other: Either) -> Tensor:
    """Return ``torch.floor_divide`` of what is given."""
    if x.is_floating_point() or isinstance(other, float) or is_float(other):
        return torch.floor(x / other)
    whole = torch.div(x, other, rounding_mode="trunc")
    rest = x - whole * other
    lower = (rest != 0) & ((rest < 0) != (torch.as_tensor(other) < 0))
    return whole - lower.to(x.dtype)


def is_float(value: Any) -> bool:
    """Whether a value is a tensor of floats."""
    return isinstance(value, Tensor) and value.is_floating_point()


def divide(x: Tensor, other: Either, *, rounding_mode: str | None = None) -> Tensor:
    """Return ``torch.div`` of what is given."""
    if rounding_mode == "floor":
        return floor_divide(x, other)
    return torch.div(x, other, rounding_mode=rounding_mode)


def remainder(x: Tensor, other: Either) -> Tensor:
    """Return ``torch.remainder`` of what is given."""
    return x - floor_divide(x, other) * other


def fmod(x: Tensor, other: Either) -> Tensor:
    """Return ``torch.fmod`` of what is given."""
    return x - trunc(x / other) * other


def trunc(x: Tensor) -> Tensor:
    """Return ``torch.trunc`` of what is given."""
    return torch.sign(x) * torch.floor(torch.abs(x))


def running(join: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return what joins the values along an axis, each with all before it."""

    def scan(x: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
        parts = list(x.unbind(dim))
        for at in range(1, len(parts)):
            parts[at] = join(parts[at - 1], parts[at])
        return torch.stack(parts, dim)

    return scan


def logaddexp(x: Tensor, other: Tensor) -> Tensor:
    """Return ``torch.logaddexp`` of what is given."""
    top = torch.maximum(x, other)
    return top + torch.log(torch.exp(x - top) + torch.exp(other - top))


def cumulative(better: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Any]:
    """Return what keeps the best value so far along an axis, and its place."""

    def scan(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        values = list(x.unbind(dim))
        places = [torch.zeros_like(values[0], dtype=torch.int64)]
        for at in range(1, len(values)):
            take = better(values[at], values[at - 1])
            places.append(torch.where(take, torch.full_like(places[0], at), places[-1]))
            values[at] = torch.where(take, values[at], values[at - 1])
        return torch.stack(values, dim), torch.stack(places, dim)

    return scan


def threshold(x: Tensor, threshold: Number, value: Number) -> Tensor:
    """Return ``torch.threshold`` of what is given."""
    return torch.where(x > threshold, x, torch.full_like(x, value))


def softshrink(x: Tensor, lambd: Number = 0.5) -> Tensor:
    """Return ``torch.softshrink`` of what is given."""
    return torch.relu(x - lambd) - torch.relu(-x - lambd)


def hardshrink(x: Tensor, lambd: Number = 0.5) -> Tensor:
    """Return ``torch.hardshrink`` of what is given."""
    return torch.where(torch.abs(x) > lambd, x, torch.zeros_like(x))


def celu(x: Tensor, alpha: Number = 1.0) -> Tensor:
    """Return ``torch.celu`` of what is given."""
    return torch.relu(x) - torch.relu(alpha * (1 - torch.exp(torch.clamp(x, max=0) / alpha)))


def lerp(x: Tensor, end: Tensor, weight: Any) -> Tensor:
    """Return ``torch.lerp`` of what is given."""
    made: Tensor = x + weight * (end - x)
    return made


def addcmul(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """Return ``torch.addcmul`` of what is given."""
    return x + value * tensor1 * tensor2


def addcdiv(x: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Number = 1) -> Tensor:
    """Return ``torch.addcdiv`` of what is given."""
    return x + value * tensor1 / tensor2


def prod(x: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Return ``torch.prod`` of what is given."""
    parts = (x.flatten() if dim is None else x).unbind(0 if dim is None else dim)
    made = parts[0]
    for part in parts[1:]:
        made = made * part
    return made.unsqueeze(dim) if keepdim and dim is not None else made


def atan2(x: Tensor, other: Tensor) -> Tensor:
    """Return ``torch.atan2`` of what is given."""
    angle = torch.atan(x / torch.where(other == 0, torch.ones_like(other), other))
    half = torch.where(x < 0, torch.full_like(x, -math.pi), torch.full_like(x, math.pi))
    turned = torch.where(other < 0, angle + half, angle)
    return torch.where(other == 0, torch.sign(x) * (math.pi / 2), turned)


def xlogy(x: Tensor, other: Tensor) -> Tensor:
    """Return ``torch.xlogy`` of what is given."""
    return torch.where(x == 0, torch.zeros_like(x), x * torch.log(other))


def isfinite(x: Tensor) -> Tensor:
    """Return ``torch.isfinite`` of what is given."""
    return torch.abs(x) < math.inf


def isnan(x: Tensor) -> Tensor:
    """Return ``torch.isnan`` of what is given."""
    return x != x  # noqa: PLR0124  what a NaN is


def nan_to_num(
    x: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Return ``torch.nan_to_num`` of what is given."""
    ends = torch.finfo(x.dtype)
    highest = ends.max if posinf is None else posinf
    lowest = ends.min if neginf is None else neginf
    x = torch.where(x != x, torch.full_like(x, nan or 0.0), x)  # noqa: PLR0124  a NaN
    x = torch.where(x > ends.max, torch.full_like(x, highest), x)
    return torch.where(x < ends.min, torch.full_like(x, lowest), x)


def var_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """Return ``torch.var_mean`` of what is given."""
    dim = args[0] if args else kwargs.get("dim")
    keepdim = args[2] if len(args) > 2 else kwargs.get("keepdim", False)
    mean = x.mean() if dim is None else x.mean(dim, keepdim)
    return torch.var(x, *args, **kwargs), mean


def rms_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return ``torch.rms_norm`` of what is given."""
    dims = [-1 - at for at in range(len(normalized_shape))]
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    x = x * torch.rsqrt(x.square().mean(dims, True) + eps)
    return x if weight is None else x * weight


def bilinear(x: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``torch.bilinear`` of what is given."""
    outer = (x.unsqueeze(-1) * input2.unsqueeze(-2)).flatten(-2)  # [..., I · J]
    return torch.nn.functional.linear(outer, weight.flatten(1), bias)


def tensordot(x: Tensor, other: Tensor, dims_self: Any, dims_other: Any) -> Tensor:
    """Return ``torch.tensordot`` of what is given."""
    left = [d for d in range(x.dim()) if d not in [n % x.dim() for n in dims_self]]
    own = [n % other.dim() for n in dims_other]
    right = [d for d in range(other.dim()) if d not in own]
    size = math.prod(int(other.shape[d]) for d in own)
    one = x.permute(*left, *dims_self).flatten(len(left)) if dims_self else x.unsqueeze(-1)
    two = other.permute(*own, *right).reshape(size, -1)  # [K, N]
    return torch.matmul(one, two).reshape(*one.shape[:-1], *(other.shape[d] for d in right))


def cdist(x: Tensor, x2: Tensor, p: float = 2.0, compute_mode: int | None = None) -> Tensor:
    """Return ``torch.cdist`` of what is given."""
    apart = torch.abs(x.unsqueeze(-2) - x2.unsqueeze(-3))
    if p == 2:
        return torch.sqrt((apart * apart).sum(-1))
    return apart.amax(-1) if p == math.inf else (apart**p).sum(-1) ** (1 / p)


def cosine_similarity(x: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Return ``torch.cosine_similarity`` of what is given."""
    norms = [torch.sqrt((part * part).sum(dim)).clamp(min=eps) for part in (x, x2)]
    return (x * x2).sum(dim) / (norms[0] * norms[1])


def shifted(sign: int) -> Callable[[Tensor, Any], Tensor]:
    """Return a shift of whole numbers by bits: up where ``sign`` is positive, else down."""

    def shift(x: Tensor, other: Any) -> Tensor:
        if isinstance(other, Tensor):
            power = torch.pow(torch.full_like(other, 2), other)
        else:
            power = 2**other
        return x * power if sign > 0 else floor_divide(x, power)

    return shift


def bitwise(
    logical: Callable[[Tensor, Tensor], Tensor],
    whole: Callable[[Tensor, int], Tensor] | None = None,
) -> Callable[[Tensor, Any], Tensor]:
    """Return an operator on truth values, and on whole numbers where ``whole`` can say it."""

    def combine(x: Tensor, other: Any) -> Tensor:
        if x.dtype is torch.bool:
            return logical(x, torch.as_tensor(other))
        if whole is None or not isinstance(other, int):
            raise ContractError(
                f"whole numbers are combined bit by bit by {logical.__name__}, which not every "
                "format can; write it with sums, products and remainders"
            )
        return whole(x, other)

    return combine


def masked(x: Tensor, mask: int) -> Tensor:
    """Return the lowest bits of whole numbers; raise ContractError for another mask."""
    if mask < 0 or mask & (mask + 1):
        raise ContractError(
            f"whole numbers are masked with {mask}, which not every format can; expected a mask "
            "of the lowest bits, as 7"
        )
    return remainder(x, mask + 1)


def norm(
    x: Tensor,
    ord: Number = 2,  # noqa: A002  the operator's own name for it
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """Return ``torch.linalg.vector_norm`` of what is given."""
    x, dim = (x.flatten(), 0) if dim is None else (x, dim)
    size = torch.abs(x)
    if ord == 2:
        return torch.sqrt((x * x).sum(dim, keepdim))
    if abs(ord) == math.inf:
        return size.amax(dim, keepdim) if ord > 0 else size.amin(dim, keepdim)
    return size.sum(dim, keepdim) if ord == 1 else (size**ord).sum(dim, keepdim) ** (1 / ord)
