"""Torch without oneDNN: its LSTM rounds its gates more coarsely (8e-6 over 256 steps against 1e-6)
and repacks weights at every call, which is 3-9 times slower at batch 1 and H >= 256.

And a call of less than about 0.1 s on one thread: its many small operators each wait for the second
one, which saves little where it has a core of its own, and takes milliseconds, a hundred times the
operator, where the cores have other work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from edgernn.contract import GraphSpec

_SHARED = 1 << 30  # multiplications that are worth a second thread: about 0.1 s of one
_VALUES_A_PLACE = 64 * 3  # of a picture


@contextmanager
def plain_kernels(work: int | None = None) -> Iterator[None]:
    """Run the body in inference mode on torch's own kernels; what was set before is put back.

    ``work`` is about how many multiplications the body makes: few of them run on one thread. None
    leaves threads as they are.
    """
    switch: Any = torch.backends.mkldnn
    before, threads = switch.enabled, torch.get_num_threads()
    alone = work is not None and work < _SHARED and threads > 1
    switch.enabled = False
    if alone:
        torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        switch.enabled = before
        if alone:
            torch.set_num_threads(threads)


def work_of(spec: GraphSpec, feeds: Mapping[str, np.ndarray], *, parameters: int) -> int:
    """Return about how many multiplications a call makes.

    That is each parameter at every value of its inputs; of a picture, over which kernels go in
    strides of about 8, at every 64th pixel of every row.

    Args:
        spec: the graph.
        feeds: its inputs by name.
        parameters: how many the graph has.
    """
    sizes = (
        feeds[tensor.name].size // (_VALUES_A_PLACE if tensor.is_picture else 1)
        for tensor in spec.fresh_inputs
    )
    return parameters * max(sizes, default=1)


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """Return ``array`` as a tensor over the same memory; a read-only one, which torch cannot share,
    is copied.
    """
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def place_of(tensor: torch.Tensor) -> int:
    """Return where the memory of a tensor begins, which it shares with every view of it."""
    return tensor.untyped_storage().data_ptr()
