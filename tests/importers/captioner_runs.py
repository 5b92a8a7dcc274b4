"""Captioners with weights, features and ids for them; what comes out where they are imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from upstream_captioners import ATT, FC, REGIONS, WORDS

from edgernn.containers import reading
from edgernn.importers.base import Imported, Opened, Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.invariances import session_model
from edgernn.importers.table import importer_of
from edgernn.models.checkpoint import load
from edgernn.models.family import RecurrentModel


def ready(model: nn.Module) -> nn.Module:
    """Return ``model`` in evaluation, with weights and statistics that tell captions apart."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.6 * torch.randn(parameter.shape, generator=random))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(0.3 * torch.randn(buffer.shape, generator=random))
            elif name.endswith("running_var"):
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=random))
    return model.eval()


def seen(rows: int = 3, *, seed: int = 0) -> dict[str, Tensor]:
    """Return features of so many pictures."""
    random = torch.Generator().manual_seed(seed)
    return {
        "fc": torch.randn(rows, FC, generator=random),
        "att": torch.randn(rows, REGIONS, ATT, generator=random),
    }


def tokens(rows: int = 3, steps: int = 7) -> Tensor:
    """Return ids ``[rows, steps]``, the first 0."""
    drawn = torch.randint(0, WORDS, (rows, steps), generator=torch.Generator().manual_seed(2))
    drawn[:, 0] = 0
    return drawn


def read(path: Path, family: str, *companions: Path, **wishes: Any) -> Imported:
    """Return what the importer of ``family`` makes of a file; it must match."""
    contents = tuple(map(reading.read, companions))
    opened = Opened(reading.read(path), contents, Wishes(companions=companions, **wishes))
    importer = importer_of(family)
    assert importer.match(opened) is not None
    return importer.read(opened)


def run_of(path: Path, out: Path, family: str, *companions: Path, **wishes: Any) -> RecurrentModel:
    """Import a file into a run folder, through every check; return the model that is loaded from
    it.
    """
    given = Wishes(companions=companions, **wishes)
    import_checkpoint(path, out, family=family, wishes=given)
    return load(out).model


def rolled(model: RecurrentModel, shown: dict[str, Tensor], ids: Tensor) -> dict[str, np.ndarray]:
    """Return every output of every step ``[B, T, …]``, and the states after them ``[T, …]``."""
    opened = session_model(model)
    assert opened.encode is not None
    names = [spec.name for spec in opened.encode.spec.fresh_inputs]
    contexts, state = opened.begin({name: shown[name].numpy() for name in names})
    made: dict[str, list[np.ndarray]] = {}
    states: dict[str, list[np.ndarray]] = {}
    for t in range(ids.shape[1]):
        outputs, state = opened.step({"tokens": ids[:, t : t + 1].numpy(), **contexts}, state)
        for name, array in outputs.items():
            made.setdefault(name, []).append(array)
        for name, array in state.items():
            states.setdefault(name, []).append(array)
    rows = {name: np.concatenate(arrays, 1) for name, arrays in made.items()}
    return rows | {name: np.stack(arrays) for name, arrays in states.items()}
