"""The tensors of a safetensors file of a checkpoint or a run, in torch."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from edgernn import storage
from edgernn.contract import first_line
from edgernn.errors import CheckpointError
from edgernn.storage import tensor_files


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; raise CheckpointError if it is missing or damaged."""
    return tensors_of(read_content(path), path)


def read_content(path: Path) -> tensor_files.Content:
    """Read a safetensors file, not yet as tensors; raise CheckpointError as ``read_tensors``."""
    try:
        return tensor_files.load(path)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path} is missing; the folder is no checkpoint, or training has not saved it yet"
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {storage.reason(error)}; restore it or train again"
        ) from error
    except ValueError as error:
        raise CheckpointError(
            f"{path} is damaged ({first_line(error)}); restore it or train again"
        ) from error


def tensors_of(content: tensor_files.Content, path: Path) -> dict[str, Tensor]:
    """Return what was read of ``path`` as tensors; raises CheckpointError as ``read_tensors``."""
    try:
        return dict(safetensors.torch.load(content.raw))
    except (SafetensorError, ValueError, KeyError, TypeError) as error:  # KeyError: such a dtype
        raise CheckpointError(
            f"{path} is damaged ({first_line(error)}); restore it or train again"
        ) from error


def unwritten(array: np.ndarray) -> Tensor:
    """Return a view of ``array``, which may be read-only: it must only be read."""
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides):
        array = np.ascontiguousarray(array)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is read-only
        return torch.from_numpy(array)


def described(content: tensor_files.Content) -> dict[str, Tensor]:
    """Return the tensors of a file without their values."""
    return {
        name: torch.empty(shape, dtype=getattr(torch, dtype, torch.uint8), device="meta")
        for name, (dtype, shape) in content.layout.items()
    }
