"""The whole of a run in one safetensors file, so that a killed run goes on as if it had not been
killed.

Tensors: ``model.*``, ``optimizer.N.*``, ``task.*`` (data position, carried state) and ``random``;
everything that is not a tensor stands as JSON in the header. One file, renamed into place: there is
no moment at which half of it is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
import torch
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from edgernn import storage
from edgernn.contract import first_line
from edgernn.errors import CheckpointError
from edgernn.models import checkpoint
from edgernn.models.weights import fit_problem, named_tensors
from edgernn.storage import strict_json, tensor_files

RESUME_FILE = "training.safetensors"
_HEADER = "edgernn.training"
_VERSION = 1
_MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP = "step"
_Count = Annotated[int, Field(ge=0)]


@dataclass
class Progress:
    """What a run knows of itself besides tensors.

    ``loss_sum`` and ``loss_count`` cover the steps since the last evaluation, ``recent`` the losses
    since the last report; ``best`` is the lowest criterion, ``best_loss`` and ``measured`` belong
    to it; ``stale`` counts evaluations without a better one. ``validated`` is the share of the
    validation part that is measured, ``threads`` how many the run works with (0: not chosen),
    ``data`` what tells its corpus from another, ``tensors`` how many the file holds.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    step: _Count = 0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    evaluations: _Count = 0
    best: float = float("inf")
    best_loss: float = float("inf")
    measured: dict[str, float] = field(default_factory=dict)
    stale: _Count = 0
    loss_sum: float = 0.0
    loss_count: _Count = 0
    recent: list[float] = field(default_factory=list)
    done: bool = False
    validated: Annotated[float, Field(gt=0, le=1)] = 1.0
    threads: _Count = 0
    data: str = ""
    tensors: _Count = 0
    options: dict[str, Any] = field(default_factory=dict)
    setup: dict[str, Any] = field(default_factory=dict)


def save(
    path: Path,
    progress: Progress,
    *,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    extra: Mapping[str, Tensor],
) -> None:
    """Write a run's state; ``extra`` are further tensors under their full names."""
    tensors = {f"model.{name}": tensor for name, tensor in named_tensors(model).items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in state.items()}
    tensors.update(extra)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    progress.tensors = len(whole)
    header = json.dumps({"version": _VERSION, **asdict(progress)}, allow_nan=True)
    storage.write_bytes(path, tensor_files.sealed(safetensors.torch.save(whole, {_HEADER: header})))


def load(path: Path) -> tuple[Progress, dict[str, Tensor]]:
    """Read a run's state: its progress and every tensor by full name.

    Raises:
        CheckpointError: missing, not to be read, damaged, or of another version.
    """
    try:
        content = tensor_files.load(path)
        header = strict_json.parse_object(content.metadata.get(_HEADER, "{}"), allow_nan=True)
        tensors = dict(safetensors.torch.load(content.raw))
    except FileNotFoundError:
        raise CheckpointError(_nothing(path)) from None
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {storage.reason(error)}; make it readable and resume again"
        ) from error
    except (
        SafetensorError,
        ValueError,
        KeyError,
        TypeError,
    ) as error:  # KeyError: a dtype that torch lacks
        raise damaged(path, first_line(error)) from error
    if header.pop("version", None) != _VERSION:
        raise CheckpointError(
            f"{path} was written by another version of edgernn; resume it with that one"
        )
    try:
        TypeAdapter(Progress).validate_json(json.dumps(header))  # in JSON's own types, strictly
    except (ValidationError, RecursionError) as error:
        raise damaged(path, f"its header: {first_line(error)}") from error
    progress = Progress(**header)
    if progress.tensors not in {0, len(tensors)}:  # 0 was written before they were counted
        raise damaged(path, f"it holds {len(tensors)} tensors, {progress.tensors} were saved")
    return progress, tensors


def damaged(path: Path, what: str) -> CheckpointError:
    """Return the error for a state that cannot be gone on from; ``what`` is wrong with it."""
    return CheckpointError(f"{path} is damaged ({what}); start the run again in another folder")


def _nothing(path: Path) -> str:
    """Say that there is no state, with the command that works: a model of somebody's is not trained
    over.
    """
    for name in (checkpoint.WEIGHTS, checkpoint.CONFIG):
        if (path.parent / name).exists():
            return (
                f"nothing to resume: {path.parent} holds a model ({name}) but no {path.name}, "
                "without which its training "
                "cannot go on; start a new run in another folder, without --resume"
            )
    return f"nothing to resume: {path} is missing; start the run without --resume"


def restore(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Put saved weights and optimiser moments back.

    Raises:
        ValueError: a tensor is missing, has another shape or type, or belongs to nothing.
    """
    wanted = named_tensors(model)
    found = {
        name.removeprefix("model."): tensor
        for name, tensor in tensors.items()
        if name.startswith("model.")
    }
    if problem := fit_problem(found, wanted):
        raise ValueError(problem)
    state = _moments(optimizer, tensors)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(found[name])
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _moments(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> dict[int, dict[str, Tensor]]:
    """Return the optimiser's state by the number of the parameter; one that was never trained has
    none.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name in tensors:
        kind, _, rest = name.partition(".")
        index, _, key = rest.partition(".")
        if kind != "optimizer":
            continue
        if not (index.isascii() and index.isdigit() and int(index) < len(parameters)):
            raise ValueError(f"{name} belongs to none of the {len(parameters)} parameters")
        if key not in {_STEP, *_MOMENTS}:
            raise ValueError(f"{name} is nothing that the optimiser keeps")
        shape = () if key == _STEP else parameters[int(index)].shape
        state.setdefault(int(index), {})[key] = taken(tensors, name, shape)
    for number, kept in state.items():
        if missing := {_STEP, *_MOMENTS} - kept.keys():
            raise ValueError(f"optimizer.{number}.{min(missing)} is missing")
    return state


def taken(
    tensors: Mapping[str, Tensor],
    name: str,
    shape: Iterable[int],
    *,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return the tensor ``name``; raise ValueError if it is missing or not of that shape and
    type.
    """
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    tensor, expected = tensors[name], list(shape)
    if list(tensor.shape) != expected or tensor.dtype != dtype:
        raise ValueError(
            f"{name} is {tensor.dtype} {list(tensor.shape)}, expected {dtype} {expected}"
        )
    return tensor


def set_random_states(tensors: Mapping[str, Tensor], rank: int, device: torch.device) -> None:
    """Put back the random state of the process ``rank``; one that the saved run did not have keeps
    its own.

    Raises:
        ValueError: they are missing or none.
    """
    whole = tensors.get("random")
    if whole is None or whole.ndim != 2 or whole.dtype != torch.uint8 or not len(whole):
        raise ValueError("random is missing or no table of bytes")
    if rank < len(whole):
        set_random_state(whole[rank], device)


def random_state(device: torch.device) -> Tensor:
    """Return this process's random state as one uint8 tensor: the CPU's, then the device's."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Put back what ``random_state`` gave.

    Raises:
        ValueError: it is none.
    """
    cpu = len(torch.get_rng_state())
    if len(state) < cpu:
        raise ValueError(f"random has {len(state)} bytes, expected {cpu} or more")
    try:
        torch.set_rng_state(state[:cpu].clone())
        if device.type == "cuda" and len(state) > cpu:
            torch.cuda.set_rng_state(state[cpu:].clone(), device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"random is no state of a generator ({first_line(error)})") from error
