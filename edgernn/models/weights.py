"""A model's tensors by name, and files of them, read safely: never an object unpickled, never half
of a file loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.containers import reading, walk
from edgernn.containers.content import Stub
from edgernn.errors import CheckpointError, DataError, UnavailableError
from edgernn.wording import some

_SHOWN = 3
_AROUND = ("state_dict", "model_state_dict", "model")  # of a checkpoint: what its tensors lie in


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return what a model has learned, the tensors themselves: its parameters, shared ones once,
    and its kept buffers.
    """
    parameters = dict(model.named_parameters())
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = {
        name: tensor
        for name, tensor in model.state_dict(keep_vars=True).items()
        if name not in every
    }
    return {**parameters, **buffers}


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of tensors by name: safetensors, npz, or one of ``torch.save``, a state dict or a
    whole module; what a module's class would do is not done.

    Raises:
        CheckpointError: missing, damaged, or a file that holds anything but tensors by name.
    """
    if not path.is_file():
        raise CheckpointError(
            f"no weights file at {path}; give a .safetensors or .pth file of tensors by name"
        )
    try:
        tree = reading.read(path).tree
        for key in _AROUND:
            if isinstance(tree, dict) and isinstance(tree.get(key), (dict, Stub)):
                tree = tree[key]
        found = walk.tensors(tree) if isinstance(tree, Stub) and walk.is_module(tree) else tree
    except (DataError, UnavailableError) as error:
        raise CheckpointError(
            f"{path} is no file of tensors by name ({error}); give .safetensors or a state_dict of "
            "torch.save"
        ) from error
    if not isinstance(found, dict) or not all(
        isinstance(n, str) and isinstance(a, np.ndarray) for n, a in found.items()
    ):
        raise CheckpointError(
            f"{path} holds {_what(tree)}, expected tensors by name (a state_dict or a module), "
            f"alone or as one of {', '.join(_AROUND)}"
        )
    return {name: torch.from_numpy(np.array(array)) for name, array in found.items()}


def _what(tree: object) -> str:
    if isinstance(tree, Stub):
        return f"an object of the class {tree.name}"
    return f"{type(tree).__name__}{_keys_of(tree)}"


def _keys_of(content: object) -> str:
    if not isinstance(content, Mapping):
        return ""
    return f" of {some([repr(key) for key in content])}"


def fit_problem(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Say in one line how ``found`` differs from ``wanted`` in names, shapes or dtypes; empty where
    it fits.
    """
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if missing or unknown:
        return f"missing {_listed(missing)}, unknown {_listed(unknown)}"
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            return f"{name} has shape {list(found[name].shape)}, expected {list(tensor.shape)}"
        if found[name].dtype != tensor.dtype:
            return f"{name} is {found[name].dtype}, expected {tensor.dtype}"
    return ""


def not_finite(model: nn.Module) -> str:
    """Name in one line the weights and kept buffers of ``model`` that hold infinities or NaN; empty
    where none does.
    """
    return not_finite_of(named_tensors(model))


def not_finite_of(tensors: Mapping[str, Tensor]) -> str:
    """Name in one line those of ``tensors`` that hold infinities or NaN; empty where none does."""
    wrong = []
    for name, tensor in tensors.items():
        if not _all_finite(tensor):
            finite = torch.isfinite(tensor)
            first = tensor[~finite][0].item()
            wrong.append(
                f"{name} ({int((~finite).sum())} of {tensor.numel()} values, the first {first})"
            )
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    return ", ".join(wrong[:_SHOWN]) + more


def _all_finite(tensor: Tensor) -> bool:
    """Whether no value is infinite or NaN; takes no memory beside the tensor's own."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    return bool(torch.isfinite(torch.stack(torch.aminmax(tensor.detach()))).all())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{names[:_SHOWN]}{more}" if names else "none"
