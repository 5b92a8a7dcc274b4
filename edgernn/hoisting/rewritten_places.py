"""Operators of torch that move values, written in other ones; see ``rewrites``."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

Number = int | float | bool


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Return ``torch.unfold`` of what is given."""
    dim = dimension % x.dim()
    if x.shape[dim] == size:  # one window
        return movedim(x.unsqueeze(dim), dim + 1, -1)
    if step == 1 and size <= 8:
        ends = [place - size + 1 or None for place in range(size)]
        parts = [x[(*before_axis(dim), slice(at, end))] for at, end in enumerate(ends)]
        return torch.stack(parts, -1)
    starts = torch.arange(0, x.shape[dim] - size + 1, step)  # [N]
    places = (starts[:, None] + torch.arange(size)).flatten()  # [N · size]
    windows: Tensor = x.index_select(dim, places).unflatten(dim, (-1, size))
    order = [axis for axis in range(x.dim() + 1) if axis != dim + 1]
    return windows.permute(*order, dim + 1)  # [..., N, ..., size]


def before_axis(dims: int) -> tuple[slice, ...]:
    """Return the index that leaves the first ``dims`` axes as they are."""
    return (slice(None),) * dims


def diff(
    x: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Return ``torch.diff`` of what is given."""
    x = torch.cat([part for part in (prepend, x, append) if part is not None], dim)
    before = before_axis(dim % x.dim())
    for _ in range(n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    return x


def take_along_dim(x: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Return ``torch.take_along_dim`` of what is given."""
    if dim is None:
        return x.flatten().gather(0, indices.flatten())
    return x.gather(dim, indices)


def kthvalue(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, ...]:
    """Return ``torch.kthvalue`` of what is given."""
    sorted_, places = torch.topk(x, k, dim, largest=False)
    return tuple(
        part.narrow(dim, k - 1, 1) if keepdim else part.select(dim, k - 1)
        for part in (sorted_, places)
    )


def median(x: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return ``torch.median`` of what is given."""
    if dim is None:
        x = x.flatten()
        return kthvalue(x, (x.shape[0] + 1) // 2, 0)[0]
    return kthvalue(x, (int(x.shape[dim]) + 1) // 2, dim, keepdim)


def placed(x: Tensor, src: Tensor, dim: int, start: int, end: int) -> Tensor:
    """Return ``x`` with ``src`` from ``start`` to ``end`` along ``dim``."""
    before = before_axis(dim % x.dim())
    parts = [x[(*before, slice(0, start))]] if start else []
    after = [x[(*before, slice(end, None))]] if end < int(x.shape[dim]) else []
    return torch.cat([*parts, src, *after], dim)


def slice_scatter(
    x: Tensor,
    src: Tensor,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Tensor:
    """Return ``torch.slice_scatter`` of what is given."""
    size = int(x.shape[dim])
    first, last, step = slice(start, end, step).indices(size)
    if step == 1:
        return placed(x, src, dim, first, last)
    kept, new = list(x.unbind(dim)), src.unbind(dim)
    for at, place in enumerate(range(first, last, step)):
        kept[place] = new[at]
    return torch.stack(kept, dim)


def select_scatter(x: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """Return ``torch.select_scatter`` of what is given."""
    place = index % int(x.shape[dim])
    return placed(x, src.unsqueeze(dim), dim, place, place + 1)


def index_copy(x: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """Return ``torch.index_copy`` of what is given."""
    return by_rows(x, dim, index, source, torch.zeros_like(x), keep=False)


def index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Number = 1) -> Tensor:
    """Return ``torch.index_add`` of what is given."""
    return by_rows(x, dim, index, source * alpha, x, keep=True)


def by_rows(
    x: Tensor, dim: int, index: Tensor, source: Tensor, base: Tensor, *, keep: bool
) -> Tensor:
    """Return ``source`` put, or added, where ``index`` says, by a product with zeros and ones."""
    chosen = (torch.arange(x.shape[dim])[:, None] == index).to(x.dtype)  # [N, M]
    moved = torch.matmul(chosen, movedim(source, dim, -2) if x.dim() > 1 else source[:, None])
    placed = movedim(moved, -2, dim) if x.dim() > 1 else moved[:, 0]
    if keep:
        return base + placed
    hit = chosen.sum(1) > 0
    shape = [1] * x.dim()
    shape[dim] = -1
    return torch.where(hit.view(shape), placed, x)


def scatter_add(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """Return ``torch.scatter_add`` of what is given."""
    places = torch.arange(x.shape[dim])  # [N]
    hit = movedim(index, dim, -1).unsqueeze(-2) == places[:, None]  # [..., N, M]
    given = src[tuple(slice(0, int(n)) for n in index.shape)]
    given = movedim(given, dim, -1).unsqueeze(-2)
    return x + movedim((hit.to(x.dtype) * given).sum(-1), -1, dim)


def diag_embed(x: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Return ``torch.diag_embed`` of what is given."""
    if offset:
        x = torch.nn.functional.pad(x, (0, abs(offset)))
    places = torch.arange(x.shape[-1])
    hit = places - places[:, None] == offset  # [N, N]
    wide = x.unsqueeze(-1) if offset > 0 else x.unsqueeze(-2)
    made = torch.where(hit, wide, torch.zeros_like(wide))
    return made if (dim1, dim2) == (-2, -1) else movedim(made, (-2, -1), (dim1, dim2))


def diagonal(x: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Return ``torch.diagonal`` of what is given."""
    x = movedim(x, (dim1, dim2), (-2, -1))
    rows, columns = int(x.shape[-2]), int(x.shape[-1])
    first = (max(-offset, 0), max(offset, 0))
    count = min(rows - first[0], columns - first[1])
    return torch.stack([x[..., first[0] + at, first[1] + at] for at in range(count)], -1)


def bucketize(
    x: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Return ``torch.bucketize`` of what is given."""
    above = x.unsqueeze(-1) >= boundaries if right else x.unsqueeze(-1) > boundaries
    return above.to(torch.int32 if out_int32 else torch.int64).sum(-1)


def tensor_split(x: Tensor, *args: Any, **kwargs: Any) -> list[Tensor]:
    """Return ``torch.tensor_split`` of what is given."""
    asked: Any = args[0] if args else kwargs.get("sections", kwargs.get("indices"))
    dim = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    size = int(x.shape[dim])
    if isinstance(asked, int):
        sizes = [size // asked + (at < size % asked) for at in range(asked)]
    else:
        ends = [0, *list(asked), size]
        sizes = [end - start for start, end in itertools.pairwise(ends)]
    return list(torch.split_with_sizes(x, sizes, dim))


def movedim(x: Tensor, source: Any, destination: Any) -> Tensor:
    """Return ``torch.movedim`` of what is given."""
    sources = [source] if isinstance(source, int) else list(source)
    places = [destination] if isinstance(destination, int) else list(destination)
    fixed = {p % x.dim(): s % x.dim() for s, p in zip(sources, places, strict=True)}
    rest = iter(d for d in range(x.dim()) if d not in fixed.values())
    order = [fixed[at] if at in fixed else next(rest) for at in range(x.dim())]
    return x.permute(order)
