"""What a caller gives to a hoisted step: every tensor held against the contract, and what is wrong
told by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from edgernn.contract import TIME, Contract, TensorSpec
from edgernn.errors import ContractError, UsageError
from edgernn.wording import counted

Sizes = dict[str, tuple[int, str]]  # open axis → its size, and the tensor that set it

_SOURCES = {
    "context": ", which begin() gives once a sequence",
    "state": "; give back all that the last call returned",
}


def as_tensors(given: Any, kind: str) -> dict[str, Tensor]:
    """Return ``given`` by name as tensors; arrays of numpy are copied.

    Raises:
        UsageError: it is no mapping, or a value is no tensor and cannot be made one.
    """
    if not isinstance(given, Mapping):
        raise UsageError(f"{kind} is {type(given).__name__}, expected tensors by name")
    return {name: _as_tensor(name, value) for name, value in given.items()}


def _as_tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    try:
        return torch.tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{name} is {type(value).__name__}, expected a tensor or an array of numbers"
        ) from error


def check_given(
    contract: Contract,
    given: Mapping[str, Tensor],
    specs: Iterable[TensorSpec],
    kind: str,
    sizes: Sizes,
) -> None:
    """Hold tensors against their specs; ``sizes`` is that of open axes, and grows.

    Raises:
        ContractError: a tensor is missing, unknown, or of another dtype or shape.
        UsageError: the frames are no multiple of what a step takes.
    """
    known = list(specs)
    if unknown := sorted(given.keys() - {spec.name for spec in known}, key=str):
        raise ContractError(f"unknown {kind} {unknown}; expected {[s.name for s in known]}")
    for spec in known:
        if spec.name not in given:
            text, source = _text(spec, contract), _SOURCES.get(spec.role, "")
            raise ContractError(f"{kind} {spec.name} is missing: it is {text}{source}")
        _check(contract, spec, given[spec.name], sizes)
    time, frames = sizes.get(TIME), contract.step_frames
    if time is not None and time[0] % frames:
        raise UsageError(
            f"{time[1]} has {counted(time[0], 'frame')} and a step takes {frames}; give a "
            f"multiple of {frames}, and keep the frames that are left for the next call"
        )


def _check(contract: Contract, spec: TensorSpec, value: Tensor, sizes: Sizes) -> None:
    dtype, shape = str(value.dtype).removeprefix("torch."), list(value.shape)
    wrong = f"{spec.name} is {dtype} {shape}, expected {_text(spec, contract)}"
    if dtype != spec.dtype:
        raise ContractError(f"{wrong}; give it as {spec.dtype}")
    if len(shape) != len(spec.axes):
        raise ContractError(wrong)
    for axis, size in zip(spec.axes, shape, strict=True):
        if fixed := contract.sizes.get(axis):
            if size != fixed:
                raise ContractError(wrong)
            continue
        wanted, origin = sizes.setdefault(axis, (size, spec.name))
        if size == 0:
            raise ContractError(f"{wrong} with {axis} at least 1")
        if size != wanted:
            raise ContractError(f"{wrong} with {axis} {wanted} as in {origin}")
    if spec.below is not None and value.numel():
        least, most = int(value.min()), int(value.max())
        if least < 0 or most >= contract.sizes[spec.below]:
            raise ContractError(
                f"{spec.name} has the value {least if least < 0 else most}, expected 0 to "
                f"{contract.sizes[spec.below] - 1}"
            )


def _text(spec: TensorSpec, contract: Contract) -> str:
    sizes = contract.sizes
    axes = (f"{axis}={sizes[axis]}" if axis in sizes else axis for axis in spec.axes)
    return f"{spec.dtype} [{', '.join(axes)}]"
