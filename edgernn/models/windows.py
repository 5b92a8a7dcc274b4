"""What each place of a convolution sees, so that the convolution is a product with a matrix: what
integers are for.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def windows(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    edges: Sequence[tuple[int, int]],
) -> Tensor:
    """Return what each place of a convolution sees, flat: ``[B, C, *S]`` to ``[B, *N, C · K]``.

    Args:
        x: of one spatial axis or two.
        kernel, stride, dilation: of each spatial axis.
        edges: how many zeros are put before and behind each.
    """
    dims, ahead = len(kernel), x.dim() - len(kernel)
    if any(map(any, edges)):
        x = torch.nn.functional.pad(x, [n for pair in reversed(edges) for n in pair])
    for at in range(dims):
        x = _unfolded(x, ahead + 2 * at, kernel[at], stride[at], dilation[at])
    places = [ahead + 2 * at for at in range(dims)]
    inner = [ahead - 1, *(place + 1 for place in places)]
    return x.permute(*range(ahead - 1), *places, *inner).flatten(-1 - dims)


def _unfolded(x: Tensor, dim: int, size: int, stride: int, dilation: int) -> Tensor:
    """Return ``[..., L, ...]`` as ``[..., N, size, ...]``."""
    length = int(x.shape[dim])
    count = (length - dilation * (size - 1) - 1) // stride + 1
    if (count, dilation) == (1, 1):
        return x.narrow(dim, 0, size).unsqueeze(dim)
    wanted = [n * stride + k * dilation for n in range(count) for k in range(size)]
    made = x.index_select(dim, torch.tensor(wanted))
    sizes = [int(n) for n in x.shape[1:]]  # of the batch alone a traced graph depends
    return made.reshape(-1, *sizes[: dim - 1], count, size, *sizes[dim:])
