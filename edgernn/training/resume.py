"""The whole of a run in one safetensors file, so that a killed run goes on as if it had not been killed.

Tensors: ``model.*``, ``optimizer.N.*``, ``task.*`` (data position, carried state) and ``random.*``; everything that is not a
tensor stands as JSON in the header. One file, renamed into place: there is no moment at which half of it is new.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from edgernn import storage
from edgernn.contract import first_line
from edgernn.errors import CheckpointError
from edgernn.models.weights import named_tensors

RESUME_FILE = "training.safetensors"
_HEADER = "edgernn.training"
_VERSION = 1


@dataclass
class Progress:
    """What a run knows of itself besides tensors.

    ``loss_sum`` and ``loss_count`` cover the steps since the last evaluation; ``best`` is the lowest criterion, ``best_loss``
    and ``measured`` belong to it; ``stale`` counts evaluations without a better one.
    """

    step: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    best: float = float("inf")
    best_loss: float = float("inf")
    measured: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    done: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    setup: dict[str, Any] = field(default_factory=dict)


def save(
    path: Path, progress: Progress, *, model: nn.Module, optimizer: torch.optim.Optimizer, extra: Mapping[str, Tensor]
) -> None:
    """Write a run's state; ``extra`` are further tensors under their full names."""
    tensors = {f"model.{name}": tensor for name, tensor in named_tensors(model).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
    tensors.update(extra)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = json.dumps({"version": _VERSION, **asdict(progress)}, allow_nan=True)
    storage.write_bytes(path, safetensors.torch.save(whole, {_HEADER: header}))


def load(path: Path) -> tuple[Progress, dict[str, Tensor]]:
    """Read a run's state: its progress and every tensor by full name.

    Raises:
        CheckpointError: missing, damaged, or of another version.
    """
    if not path.is_file():
        raise CheckpointError(f"nothing to resume: {path} is missing; start the run without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged ({first_line(error)}); start the run again in another folder") from error
    if header.pop("version", None) != _VERSION:
        raise CheckpointError(f"{path} was written by another version of edgernn; resume it with that one")
    return Progress(**header), tensors


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put saved weights and optimiser moments back."""
    with torch.no_grad():
        for name, tensor in named_tensors(model).items():
            tensor.copy_(tensors[f"model.{name}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_state(device: torch.device) -> Tensor:
    """Return this process's random state as one uint8 tensor: the CPU's, then the device's."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Put back what ``random_state`` gave."""
    cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:cpu].clone())
    if device.type == "cuda" and len(state) > cpu:
        torch.cuda.set_rng_state(state[cpu:].clone(), device)
