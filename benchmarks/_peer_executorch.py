"""ExecuTorch with the XNNPACK backend, through its Python runtime."""

from __future__ import annotations

import numpy as np
import torch
from _peer_base import Peer, Stepper, Work, folder_bytes
from torch import Tensor


def _prepare(work: Work) -> Stepper:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    folder = work.folder("executorch")
    program = to_edge_transform_and_lower(
        torch.export.export(work.plain, work.examples()), partitioner=[XnnpackPartitioner()]
    ).to_executorch()
    (folder / "model.pte").write_bytes(program.buffer)
    portable_lib._unsafe_reset_threadpool(1)  # the one way there is; by default it takes every core
    forward = Runtime.get().load_program(folder / "model.pte").load_method("forward")

    def step(token: int, state: tuple[Tensor, ...]) -> tuple[np.ndarray, tuple[Tensor, ...]]:
        logits, *after = forward.execute((torch.tensor([[token]]), *state))
        return logits.numpy(), tuple(
            tensor.clone() for tensor in after
        )  # outputs live in memory that the next call plans with

    return Stepper(step, work.zeros(), folder_bytes(folder))


PEERS = (Peer("executorch", "ExecuTorch, XNNPACK", ("executorch",), True, _prepare),)
