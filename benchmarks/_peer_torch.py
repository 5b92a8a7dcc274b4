"""torch as a runtime: eager, and traced TorchScript; each with oneDNN, as torch comes, and with
torch's own kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _peer_base import Peer, Stepper, Work, folder_bytes
from torch import Tensor

from edgernn.sessions.torch_kernels import plain_kernels

Call = Callable[..., tuple[Tensor, ...]]


def _stepper(call: Call, work: Work, *, mode: Callable[[], Any], size: int | None) -> Stepper:
    def step(token: int, state: tuple[Tensor, ...]) -> tuple[np.ndarray, tuple[Tensor, ...]]:
        with mode():
            logits, *after = call(torch.tensor([[token]]), *state)
        return logits.numpy(), tuple(after)

    return Stepper(step, work.zeros(), size)


def _eager(mode: Callable[[], Any]) -> Callable[[Work], Stepper]:
    return lambda work: _stepper(work.plain, work, mode=mode, size=None)


def _traced(name: str, mode: Callable[[], Any]) -> Callable[[Work], Stepper]:
    def prepare(work: Work) -> Stepper:
        folder = work.folder(name)
        torch.jit.trace(work.plain, work.examples(), check_trace=False).save(
            str(folder / "model.pt")
        )
        loaded = torch.jit.load(str(folder / "model.pt")).eval()
        return _stepper(loaded, work, mode=mode, size=folder_bytes(folder))

    return prepare


PEERS = (
    Peer("torch", "torch eager", ("torch",), True, _eager(torch.inference_mode)),
    Peer("torch-own", "torch eager, oneDNN off", ("torch",), True, _eager(plain_kernels)),
    Peer(
        "torchscript", "TorchScript, traced", ("torch",), True, _traced("ts", torch.inference_mode)
    ),
    Peer(
        "torchscript-own",
        "TorchScript, traced, oneDNN off",
        ("torch",),
        True,
        _traced("ts-own", plain_kernels),
    ),
)
