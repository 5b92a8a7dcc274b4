"""The weights of a stack of layers by the names that ``make_stack`` gives them, for those that fill
one from elsewhere.

Shapes: I input, H hidden, P what a layer gives (H but for a projected cell), g gates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from edgernn.errors import UsageError
from edgernn.models.cells.options import CellOptions, read_options
from edgernn.models.cells.table import cell_class

_SIDES = {"from_input": "ih", "from_hidden": "hh"}  # a cell's linear layer → torch's name of it


class Block(NamedTuple):
    """What one recurrent layer learned, its rows in the order of its cell, which is torch's where
    torch has the layer.

    Attributes:
        w_ih: ``[gH, I]``, the cell's ``from_input``.
        w_hh: ``[gH, P]``, the cell's ``from_hidden``; a cell that keeps rows apart has fewer here,
            and one whose gates see no state none, ``[0, P]``.
        b_ih, b_hh: as many as rows; None stands for zeros: of files with one bias, or with none.
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
        UsageError: an unknown cell or option, or arrays that do not fit it.
    """
    kind, made = cell_class(cell), dict[str, np.ndarray]()
    read = read_options(kind.options_kind, options or {})
    as_torch = kind.fused is not None and read == kind.options_kind()
    for place, block in enumerate(blocks):
        for name, array in _by_name(f"layer {place}", block, cell, read).items():
            side, _, part = name.partition(".")
            as_in_torch = f"fused.{part}_{_SIDES.get(side, side)}_l{place}"
            made[as_in_torch if as_torch else f"layers.{place}.{name}"] = array
    return made


def hidden_of(cell: str, block: Block) -> int:
    """Return H, the width of the hidden state; raise UsageError for an unknown cell."""
    return len(block.w_ih) // max(cell_class(cell).gates, 1)


def _by_name(where: str, block: Block, cell: str, options: CellOptions) -> dict[str, np.ndarray]:
    """Return the parameters of one layer by the cell's own names."""
    kind, hidden = cell_class(cell), hidden_of(cell, block)
    with torch.device("meta"):
        made = kind(block.w_ih.shape[1], max(hidden, 1), options)
    wanted = {name: tuple(tensor.shape) for name, tensor in made.named_parameters()}
    given = {"from_input.weight": block.w_ih, **block.others}
    if len(block.w_hh):
        given["from_hidden.weight"] = block.w_hh
    for name, bias in (("from_input.bias", block.b_ih), ("from_hidden.bias", block.b_hh)):
        if bias is None and name in wanted:
            given[name] = np.zeros(wanted[name], block.w_ih.dtype)
        elif bias is not None:
            given[name] = bias
    found = {name: array.shape for name, array in given.items()}
    if found != wanted:
        odd = next(n for n in (*found, *wanted) if found.get(n) != wanted.get(n))
        has, wants = (
            f"{list(shapes[odd])}" if odd in shapes else "none" for shapes in (found, wanted)
        )
        raise UsageError(
            f"{where}: {odd} of the cell {cell} is {has}, expected {wants} where {hidden} is its "
            "width"
        )
    return given
