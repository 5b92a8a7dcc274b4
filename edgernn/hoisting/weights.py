"""Trained weights put into a user's network: read without executing anything, and what does not
fit told name by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from edgernn.contract import first_line
from edgernn.errors import CheckpointError
from edgernn.models.weights import read_weights
from edgernn.wording import did_you_mean

_PREFIXES = ("module.", "model.", "_orig_mod.")  # of DataParallel, of Lightning, of torch.compile
_SHOWN = 3


def load_weights(net: nn.Module, path: Path) -> None:
    """Put the tensors of ``path`` into ``net``: its parameters and its kept buffers.

    Args:
        net: its tensors are replaced in place; numbers of another dtype are converted.
        path: see ``read_weights``; the names as they are, or with ``module.`` or ``model.`` before
            each.

    Raises:
        CheckpointError: missing, damaged, or tensors that are missing, too many or of other shapes;
            nothing was changed.
    """
    wanted = net.state_dict()
    found = _without_prefix(read_weights(path), wanted)
    if problem := _difference(net, found, wanted):
        raise CheckpointError(f"{path} does not fit {type(net).__name__}: {problem}")
    try:
        net.load_state_dict(found, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} does not fit {type(net).__name__}: {first_line(error)}"
        ) from error


def _without_prefix(
    found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Return ``found`` without a prefix that all of its names have and the network's do not."""
    while found and not found.keys() & wanted.keys():
        prefix = next((p for p in _PREFIXES if all(n.startswith(p) for n in found)), None)
        if prefix is None:
            break
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _difference(net: nn.Module, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Say what is missing, what is too much and what has another shape; empty where all fits."""
    missing = [name for name in wanted if name not in found and not _tied(name, found, net)]
    unknown = [name for name in found if name not in wanted]
    shapes = [
        f"{name} {list(found[name].shape)}, the network's is {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and not is_lazy(tensor) and found[name].shape != tensor.shape
    ]
    parts = []
    if missing:
        parts.append(f"missing {_some(missing)}")
    if unknown:
        parts.append(f"unexpected {_some([_near(name, missing or wanted) for name in unknown])}")
    if shapes:
        parts.append(f"of another shape {_some(shapes)}")
    return "; ".join(parts)


def _near(name: str, known: Mapping[str, Tensor] | list[str]) -> str:
    guess = did_you_mean(name, known).removeprefix("; ")
    return f"{name} ({guess})" if guess else name


def _tied(name: str, found: Mapping[str, Tensor], net: nn.Module) -> bool:
    """Whether the network has the tensor ``name`` under another name, too, which was found."""
    every = net.state_dict(keep_vars=True)
    return any(other is every[name] and one in found for one, other in every.items())


def _some(words: list[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more
