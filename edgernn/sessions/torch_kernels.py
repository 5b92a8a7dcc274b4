"""Torch without oneDNN: its LSTM rounds its gates more coarsely (8e-6 over 256 steps against 1e-6) and repacks weights at
every call, which is 3-9 times slower at batch 1 and H >= 256."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run the body in inference mode on torch's own kernels; what was set before is put back."""
    switch: Any = torch.backends.mkldnn
    before = switch.enabled
    switch.enabled = False
    try:
        with torch.inference_mode():
            yield
    finally:
        switch.enabled = before


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Return ``array`` as a tensor over the same memory; a read-only one, which torch cannot share, is copied."""
    return torch.from_numpy(array if array.flags.writeable else array.copy())
