"""Networks for the tests of hoisting: weights drawn from a seed, in evaluation mode."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def drawn(net: M, seed: int = 1, scale: float = 0.4) -> M:
    """Return ``net`` with every parameter drawn anew."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return net.eval()
