"""The parameters of a network's layers by name, for those that fill one with weights from
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgernn.errors import UsageError
from edgernn.models.cells.blocks import Block, stack_tensors


def recurrent_tensors(
    name: str,
    cell: str,
    blocks: Sequence[Block],
    *,
    cell_options: Mapping[str, str] | None = None,
    first: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Return the parameters of the recurrent layer ``name`` of the step by their full names.

    Args:
        name: of the layer in the description.
        cell: a row of ``models.cells.table``.
        blocks: of each of its L layers, from the input up.
        cell_options: as the description gives them.
        first: state → its stored first value ``[L, H]`` or ``[L, 1, H]``, where ``first`` is
            ``stored``.

    Raises:
        UsageError: an unknown cell, or matrices whose rows do not fit it.
    """
    try:
        stack = stack_tensors(cell, blocks, options=cell_options)
    except UsageError as error:
        raise UsageError(f"the recurrent layer {name}: {error}") from error
    made = {f"layers.{name}.stack.{part}": array for part, array in stack.items()}
    for key, value in (first or {}).items():
        made[f"layers.{name}.first.{key}"] = value.reshape(len(blocks), 1, -1)  # [L, 1, H]
    return made
