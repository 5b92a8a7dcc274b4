"""The weights of a stack of layers by the names that ``make_stack`` gives them, for those that fill
one from elsewhere.

Shapes: I input, H hidden, P what a layer gives (H but for a projected cell), g gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgernn.errors import UsageError
from edgernn.models.cells.options import read_options
from edgernn.models.cells.table import cell_class


class Block(NamedTuple):
    """What one recurrent layer learned, its rows in the order of its cell, which is torch's where
    torch has the layer.

    Attributes:
        w_ih: ``[gH, I]``.
        w_hh: ``[gH, P]``.
        b_ih, b_hh: ``[gH]``; None stands for zeros: of files with one bias, or with none.
        others: what else the cell has, by the parameter's own name in the cell.
    """

    w_ih: np.ndarray
    w_hh: np.ndarray
    b_ih: np.ndarray | None = None
    b_hh: np.ndarray | None = None
    others: Mapping[str, np.ndarray] = {}


def stack_tensors(
    cell: str, blocks: Sequence[Block], *, options: Mapping[str, str] | None = None
) -> dict[str, np.ndarray]:
    """Return the parameters of a stack by name: ``fused.weight_ih_l0`` and so on where torch has
    the layer, else ``layers.0.from_input.weight``.

    Args:
        cell: a row of ``models.cells.table``.
        blocks: of each layer, from the input up.
        options: of the cell, as ``make_stack`` takes them.

    Raises:
        UsageError: an unknown cell or option, or matrices whose rows do not fit it.
    """
    kind, made = cell_class(cell), dict[str, np.ndarray]()
    plain = read_options(kind.options_kind, options or {}) == kind.options_kind()
    for place, block in enumerate(blocks):
        rows = block.w_ih.shape[0]
        if block.w_hh.shape[0] != rows or rows % max(kind.gates, 1):
            raise UsageError(
                f"layer {place} has matrices of {rows} and {block.w_hh.shape[0]} rows, expected "
                f"the same multiple of {kind.gates} for the cell {cell}"
            )
        zeros = np.zeros(rows, block.w_ih.dtype)
        b_ih, b_hh = (zeros if bias is None else bias for bias in (block.b_ih, block.b_hh))
        if kind.fused is not None and plain:
            parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            values = (block.w_ih, block.w_hh, b_ih, b_hh)
            made |= {f"fused.{p}_l{place}": v for p, v in zip(parts, values, strict=True)}
            continue
        own = {**kind.named(block.w_ih, block.w_hh, b_ih, b_hh), **block.others}
        made |= {f"layers.{place}.{name}": array for name, array in own.items()}
    return made
