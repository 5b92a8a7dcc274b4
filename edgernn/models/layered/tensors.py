"""The parameters of a network's layers by name, for those that fill one with weights from
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from edgernn.errors import UsageError
from edgernn.models.cells.options import CellOptions, read_options
from edgernn.models.cells.table import cell_class

_PARTS = ("from_input", "from_hidden")  # of a gated cell


class Block(NamedTuple):
    """What one recurrent layer learned, in torch's row order of its cell.

    Attributes:
        w_ih: ``[gH, I]``.
        w_hh: ``[gH, H]``; of a cell that keeps some of its rows apart those that it does not.
        b_ih, b_hh: as many as rows; None stands for zeros.
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
    options = read_options(kind.options_kind, cell_options or {})
    as_torch = kind.fused is not None and options == kind.options_kind()
    for place, block in enumerate(blocks):
        _refuse_rows(f"layer {place} of {name}", block, cell, options)
        biases = [
            np.zeros(len(weight), weight.dtype) if bias is None else bias
            for weight, bias in ((block.w_ih, block.b_ih), (block.w_hh, block.b_hh))
        ]
        values = (block.w_ih, block.w_hh, *biases)
        made |= dict(zip(_names(name, place, as_torch=as_torch), values, strict=True))
        made |= {f"layers.{name}.stack.layers.{place}.{k}": v for k, v in block.others.items()}
    for key, value in (first or {}).items():
        made[f"layers.{name}.first.{key}"] = value.reshape(len(blocks), 1, -1)  # [L, 1, H]
    return made


def _refuse_rows(where: str, block: Block, cell: str, options: CellOptions) -> None:
    """Raise UsageError where the matrices have other rows than those of the cell."""
    kind, rows = cell_class(cell), len(block.w_ih)
    hidden = rows // max(kind.gates, 1)
    with torch.device("meta"):
        made = kind(block.w_ih.shape[1], max(hidden, 1), options)
    own = [dict(made.named_parameters())[f"{part}.weight"] for part in _PARTS]
    if [len(weight) for weight in own] != [rows, len(block.w_hh)]:
        raise UsageError(
            f"{where} has matrices of {rows} and {len(block.w_hh)} rows, expected those of the "
            f"cell {cell}, {len(own[0])} and {len(own[1])} where its width is {hidden}"
        )


def _names(name: str, place: int, *, as_torch: bool) -> list[str]:
    """Return the names of w_ih, w_hh, b_ih and b_hh."""
    stack, kinds = f"layers.{name}.stack", ("weight", "bias")
    if as_torch:
        return [f"{stack}.fused.{kind}_{side}_l{place}" for kind in kinds for side in ("ih", "hh")]
    return [f"{stack}.layers.{place}.{part}.{kind}" for kind in kinds for part in _PARTS]
