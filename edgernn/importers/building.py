"""From what an importer read to a model with its weights: those that lie as torch wants them are
taken where they are, in the memory of the file; others are converted, one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from edgernn.errors import CheckpointError
from edgernn.importers.base import Imported
from edgernn.models.family import RecurrentModel, kind_of, rebuilt
from edgernn.models.tensors import unwritten
from edgernn.models.undrawn import Undrawn
from edgernn.models.weights import named_tensors, not_finite
from edgernn.wording import some


def built(imported: Imported, path: Path) -> RecurrentModel:
    """Return the model of ``imported`` in evaluation mode, in float32.

    Its weights may be the arrays themselves, which may be read-only, and the bytes of a mapped
    file: the model is to be run, and not to be trained.

    Args:
        imported: what an importer read; its arrays are not changed.
        path: of the file, for messages.

    Raises:
        CheckpointError: the tensors are not those of the configuration, or not finite.
    """
    with Undrawn():
        model = _kind(imported)(imported.config)
    wanted = named_tensors(model)
    _refuse_misfit(imported.tensors, wanted, path)
    for name, tensor in wanted.items():
        array = np.require(imported.tensors[name], requirements=["C", "A"])  # in order, aligned
        tensor.data = unwritten(array).to(tensor.dtype)
    if wrong := not_finite(model):
        raise CheckpointError(
            f"{path} has weights that are not finite: {wrong}; nothing was written. Take an "
            "earlier checkpoint of the same training"
        )
    return model.eval()


def _kind(imported: Imported) -> type[RecurrentModel]:
    """Return the kind of model that has such a configuration."""
    kinds = (kind_of(word) for word in rebuilt())
    return next(kind for kind in kinds if isinstance(imported.config, kind.config_kind))


def _refuse_misfit(
    found: Mapping[str, np.ndarray], wanted: Mapping[str, Tensor], path: Path
) -> None:
    missing, unknown = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    problem = "; ".join(
        [f"it lacks {some(missing)}"] * bool(missing)
        + [f"it has {some(unknown)}, which nothing takes"] * bool(unknown)
    ) or next(
        (
            f"{name} is {list(found[name].shape)}, expected {list(tensor.shape)}"
            for name, tensor in wanted.items()
            if tuple(found[name].shape) != tuple(tensor.shape)
        ),
        "",
    )
    if problem:
        raise CheckpointError(
            f"{path} is not the whole of one network: {problem}; give the checkpoint as its "
            "training wrote it, or name its tensors with --map FILE"
        )
