"""The optimiser of a run."""

from __future__ import annotations

import torch
from torch import Tensor

from edgernn.training.options import TrainOptions
from edgernn.training.task import Task

_BETAS = (0.9, 0.99)


def adamw(task: Task, options: TrainOptions, device: torch.device) -> torch.optim.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019), vectors not decayed; ``share`` multiplies a group's
    learning rate.
    """
    grouped: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in task.model.named_parameters():
        decay = options.weight_decay if parameter.ndim >= 2 else 0.0
        grouped.setdefault((decay, task.rate_of(name)), []).append(parameter)
    groups = [
        {"params": found, "weight_decay": decay, "share": share}
        for (decay, share), found in grouped.items()
    ]
    return torch.optim.AdamW(
        groups, lr=options.peak_rate, betas=_BETAS, fused=device.type in {"cpu", "cuda"}
    )
