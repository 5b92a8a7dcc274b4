"""The compact step face of a recurrent stack: as few products, and as few other operators, as one
time step can have.

A step of a small network is short, so what it costs beside reading the weights is the number of
operators. Here

- a layer whose gates are sums multiplies once, ``[W_ih W_hh] [x; h]``, instead of twice;
- the rows of an LSTM stand in the order i, f, o, g, so that one sigmoid serves three gates;
- the state stays ``[1, B, H]`` for each layer, so that nothing is squeezed and stacked again;
- the first layer may be folded into a table: row t of ``E W_ihᵀ + b`` is all that token t adds to
  its gates.

The sums are the same numbers in another order. How each cell is made compact stands in its file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import Cell, State
from edgernn.models.cells.compact import CompactCell

# a folded table of up to this, or this part of the other weights, is worth its bytes
_SMALL_TABLE_BYTES = 256 * 1024
_LARGEST_TABLE_SHARE = 8


class CompactStack(nn.Module):
    """One time step of L layers; see the module's docstring.

    Args:
        cells: of each layer, of a kind that ``is_compact``; their weights are copied.
        folded: the first layer's input is its gate pre-activations, as ``input_table`` gives them,
            not ``x``.
        ways: past each layer but the first, see ``models.deep``; none where they are plain.
    """

    def __init__(
        self, cells: Sequence[Cell], *, folded: bool = False, ways: Iterable[nn.Module] = ()
    ) -> None:
        super().__init__()
        made = []
        for index, cell in enumerate(cells):
            made.append(_compact(cell)(cell, folded=folded and index == 0))
        self.layers = nn.ModuleList(made)
        self.ways = nn.ModuleList(ways)

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> tuple[Tensor, State]:
        """Run ``x [B, 1, I]`` (folded: ``[B, 1, gH]``) from ``state``, each ``[L, B, H]``.

        ``gates [B, gH]``, rows in the cell's own order, is added to what the first layer's gates
        get from ``x``.

        Returns:
            What the top passes up, ``[B, 1, H]``, and the state after the step.
        """
        if x.shape[1] != 1:
            raise ValueError(f"the step face takes one time step, got {x.shape[1]}")
        y = x.transpose(0, 1)  # [1, B, I]
        before = zip(*(_by_layer(tensor, len(self.layers)) for tensor in state), strict=True)
        after: list[State] = []
        for index, (layer, tensors) in enumerate(zip(self.layers, before, strict=True)):
            added = None if gates is None or after else gates.unsqueeze(0)
            after.append(layer(y, tensors, added))
            made = after[-1][0]  # [1, B, H]
            y = self.ways[index - 1](y, made) if index and len(self.ways) else made
        top = y.transpose(0, 1)  # [B, 1, H]
        return top, tuple(_together(tensors) for tensors in zip(*after, strict=True))


def is_compact(cells: Sequence[Cell]) -> bool:
    """Return whether the kind of these cells has a compact step."""
    return all(cell.compact is not None for cell in cells)


def input_table(cell: Cell, embedding: Tensor) -> Tensor:
    """Return ``E W_ihᵀ + b``, normalised where the cell does that, ``[V, gH]``: what each token of
    ``embedding [V, I]`` adds to the gates of a folded first layer.

    ``b`` is the bias of the input, and of the state where the two are only ever summed.
    """
    return _compact(cell).table(cell, embedding)


def table_pays(bits: int, *, vocabulary: int, width: int, rows: int, parameters: int) -> bool:
    """Return whether a table of 8 bits, of which a step reads one row, reads fewer bytes a step
    than what it replaces in integers of ``bits``, and the file stays small.

    Args:
        bits: of the other weights.
        vocabulary: V.
        width: I, of an embedding's row.
        rows: gH, of the first layer's gates.
        parameters: of the whole model.
    """
    replaced = width * (1 + rows) * bits // 8
    others = parameters * bits // 8 - replaced
    table = vocabulary * rows
    return rows < replaced and table <= max(_SMALL_TABLE_BYTES, others // _LARGEST_TABLE_SHARE)


def _compact(cell: Cell) -> type[CompactCell]:
    assert cell.compact is not None
    return cell.compact


def _by_layer(tensor: Tensor, layers: int) -> tuple[Tensor, ...]:
    return tuple(tensor.split(1)) if layers > 1 else (tensor,)  # each [1, B, H]


def _together(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(tensors)) if len(tensors) > 1 else tensors[0]  # [L, B, H]
