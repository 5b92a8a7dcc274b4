"""The truth about what a written program stores: every matrix read back, with the name of the layer
whose values it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from torch import nn

from edgernn.bundle.stored_weights import FROM_STATE, StoredWeight
from edgernn.sessions.pte.program import read_program
from edgernn.sessions.pte.stored import FORWARD, Stored, graphs_of, others, stored_constants

_HALF_A_LEVEL = 0.501  # of a scale: rounding, and the last bits of the product


def weight_table(path: Path, model: nn.Module) -> tuple[StoredWeight, ...]:
    """Return every matrix of the program at ``path``, and what is left as one last entry.

    A program holds no names, so a matrix is called after the layer of ``model`` whose weight it is
    to within its rounding; one that is no layer's is called by its place.

    Raises:
        ContractError: the program is damaged.
    """
    program = read_program(path)
    constants = stored_constants(program, graphs_of(program, program.by_name[FORWARD]))
    known = {
        name: tensor.detach().float().numpy()
        for name, tensor in (*model.named_parameters(), *model.named_buffers())
        if tensor.ndim > 1
    }
    matrices = [each for each in constants if each.is_matrix]
    return (*_named(matrices, known), *others(constants))


def _named(matrices: list[Stored], known: Mapping[str, np.ndarray]) -> Iterator[StoredWeight]:
    for place, stored in enumerate(matrices):
        name = next(
            (name for name, value in known.items() if _stands_for(stored, value)),
            f"constant {place}",
        )
        layer = name.removesuffix(".weight").replace("/", ".")
        yield stored.as_weight(layer, recurrent=layer.rpartition(".")[2] in FROM_STATE)


def _stands_for(stored: Stored, value: np.ndarray) -> bool:
    """Return whether ``stored`` is ``value`` to within its rounding."""
    if np.prod(stored.shape) != value.size or (found := stored.values()) is None:
        return False
    if found.ndim == 4:
        found = found.transpose(0, 3, 1, 2)  # XNNPACK keeps the channels last
    if found.ndim == value.ndim and found.shape != value.shape:
        return False
    limit = _HALF_A_LEVEL * float(stored.scales.max()) if stored.scales.size else 0.0
    return bool(np.abs(found.ravel() - value.ravel()).max() <= limit)
