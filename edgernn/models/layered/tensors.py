"""The parameters of a network's layers by name, for those that fill one with weights from
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgernn.errors import UsageError
from edgernn.models.cells.options import read_options
from edgernn.models.cells.table import cell_class


class Block(NamedTuple):
    """What one recurrent layer learned, in torch's row order of its cell.

    Attributes:
        w_ih: ``[gH, I]``.
        w_hh: ``[gH, H]``.
        b_ih, b_hh: ``[gH]``; None stands for zeros.
        others: what else the cell has, by the parameter's own name in the cell.
    """

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None = None
    b_hh: np.ndarray | None = None
    others: Mapping[str, np.ndarray] = {}


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
    kind, made = cell_class(cell), dict[str, np.ndarray]()
    plain = read_options(kind.options_kind, cell_options or {}) == kind.options_kind()
    as_torch = kind.fused is not None and plain
    for place, block in enumerate(blocks):
        rows = block.w_ih.shape[0]
        if block.w_hh.shape[0] != rows or rows % max(kind.gates, 1):
            raise UsageError(
                f"layer {place} of {name} has matrices of {rows} and {block.w_hh.shape[0]} rows, "
                f"expected the same multiple of {kind.gates} for the cell {cell}"
            )
        zeros = np.zeros(rows, block.w_ih.dtype)
        values = (
            block.w_ih,
            block.w_hh,
            zeros if block.b_ih is None else block.b_ih,
            zeros if block.b_hh is None else block.b_hh,
        )
        made |= dict(zip(_names(name, place, as_torch=as_torch), values, strict=True))
        made |= {f"layers.{name}.stack.layers.{place}.{k}": v for k, v in block.others.items()}
    for key, value in (first or {}).items():
        made[f"layers.{name}.first.{key}"] = value.reshape(len(blocks), 1, -1)  # [L, 1, H]
    return made


def _names(name: str, place: int, *, as_torch: bool) -> list[str]:
    """Return the names of w_ih, w_hh, b_ih and b_hh."""
    stack = f"layers.{name}.stack"
    if as_torch:
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return [f"{stack}.fused.{kind}_l{place}" for kind in kinds]
    parts = ("from_input.weight", "from_hidden.weight", "from_input.bias", "from_hidden.bias")
    return [f"{stack}.layers.{place}.{part}" for part in parts]
