"""Recurrent stacks: L layers of one cell, with two faces made from the same weights.

The **fused** face is torch's own layer (``nn.LSTM``, ``nn.GRU``, ``nn.RNN``): any number of time
steps T in one call. The **step** face takes the cells' own steps, with no recurrent operator, for
runtimes whose recurrent operators are missing, slow or not quantisable. A cell for which torch has
no layer has the step face alone, and its own way over time in training, where it brings one. The
cells are in ``models.cells``; stacks whose layers have a way past them, as ``between`` says, in
``models.deep``.

Shapes: B batch, T time, L layers, H hidden, I input. A state is a tuple of ``[L, B, H]`` tensors in
the order of the cell's ``states``; a cell may have states of other widths, see ``state_widths``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from edgernn.errors import UsageError
from edgernn.models.cells.base import Cell, State
from edgernn.models.cells.options import read_options
from edgernn.models.cells.table import cell_class
from edgernn.models.deep import DeepStack, ways
from edgernn.models.few_values import is_restricted

MAX_LAYERS = 256


class RecurrentStack(nn.Module):
    """The fused face: L layers of one cell over ``[B, T, I]``, the state in and out as a tuple of
    ``[L, B, H]``.

    Raises:
        UsageError: torch has no layer for ``cell``.
    """

    open_time: ClassVar[bool] = True
    ways: ClassVar[Sequence[nn.Module]] = ()

    def __init__(
        self, cell: str, inputs: int, *, hidden: int, layers: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.cell = cell_class(cell)
        if self.cell.fused is None:
            raise UsageError(f"the cell {cell!r} has no fused layer; it runs step by step")
        self.fused = self.cell.fused(
            inputs,
            hidden,
            num_layers=layers,
            dropout=dropout if layers > 1 else 0.0,
            batch_first=True,
        )
        for made in self.cells():
            made.reset_parameters()

    def cells(self) -> list[Cell]:
        """Return the layers as cells, which share the parameters."""
        return [self.cell.from_fused(self.fused, layer) for layer in range(self.fused.num_layers)]

    def by_cell(self) -> CellStack:
        """Return the step face, which shares the parameters."""
        return CellStack(self.cells())

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run ``x [B, T, I]`` from ``state``; return the top layer's ``[B, T, H]`` and the state
        after T.
        """
        packed = state if len(state) > 1 else state[0]
        if is_restricted(self.fused):  # of its weights torch's layer keeps a list of its own
            names = self.fused._flat_weights_names
            self.fused._flat_weights = [getattr(self.fused, name) for name in names]
        y, packed = self.fused(x, packed)  # [B, T, H]
        return y, packed if isinstance(packed, tuple) else (packed,)


class CellStack(nn.Module):
    """The step face: the cells' own steps, and no recurrent operator; of many steps each layer goes
    over all of them before the next, as its cell knows best.

    The captioner trains with it, for attention needs the state between two words; so does every
    model whose cell has no fused layer. A graph that is traced from it takes the one number of
    steps that it was traced with.

    Args:
        cells: the layers, from the input up.
        dropout: the share that is dropped between layers, in training.
        by_part: name what the cells have by part and layer (``from_input.0.weight``), as the
            checkpoints of captioners do, not by layer and part (``layers.0.from_input.weight``).
    """

    open_time: ClassVar[bool] = False
    ways: ClassVar[Sequence[nn.Module]] = ()

    def __init__(
        self, cells: Sequence[Cell], *, dropout: float = 0.0, by_part: bool = False
    ) -> None:
        super().__init__()
        if by_part:  # before the layers: of a parameter's two names the first one counts
            for name, _ in cells[0].named_children():
                setattr(self, name, nn.ModuleList([cell.get_submodule(name) for cell in cells]))
        self.layers = nn.ModuleList(cells)
        self.dropout = dropout

    def cells(self) -> list[Cell]:
        """Return the layers."""
        return list(self.layers)  # type: ignore[arg-type]

    def by_cell(self) -> CellStack:
        """Return the step face, which shares the parameters."""
        return CellStack(self.cells())

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> tuple[Tensor, State]:
        """Run ``x [B, T, I]`` from ``state``; return the top layer's ``[B, T, H]`` and the state
        after T.

        ``gates [B, gH]`` is added to what the first layer's gates get from ``x``.
        """
        count, one = len(self.layers), x.shape[1] == 1
        by_layer = [tuple(tensor[i] for tensor in state) for i in range(count)]  # each [B, H]
        y = x[:, 0] if one else x  # [B, I], or [B, T, I]
        after: list[State] = []
        for cell, before in zip(self.cells(), by_layer, strict=True):
            if after and self.dropout:
                y = nn.functional.dropout(y, self.dropout, self.training)
            added = () if gates is None or after else (gates,)
            if one:
                after.append(cell(y, before, *added))
                y = after[-1][0]  # [B, H]
            else:
                y, last = cell.over_time(y, before, *added)  # [B, T, H]
                after.append(last)
        y = y.unsqueeze(1) if one else y  # [B, T, H]
        return y, tuple(torch.stack(tensors) for tensors in zip(*after, strict=True))


def make_stack(
    cell: str,
    inputs: int,
    *,
    hidden: int,
    layers: int,
    dropout: float = 0.0,
    options: Mapping[str, str] | None = None,
    between: str = "plain",
) -> RecurrentStack | CellStack | DeepStack:
    """Return L fresh layers of ``cell``: the fused face where torch has a layer for it, else the
    step face; of layers that are not plain, a deep stack of them.

    Args:
        cell: a row of ``models.cells.table``.
        inputs: I.
        hidden: H.
        layers: L.
        dropout: acts between the layers, in training.
        options: the cell's, as text by name; with other values than its defaults it has the step
            face alone.
        between: one of ``models.between.BETWEEN``: what passes between the layers.

    Raises:
        UsageError: an unknown cell, or an option that it has not, or a value that does not fit.
    """
    kind = cell_class(cell)
    read = read_options(kind.options_kind, options or {})
    width = kind.widths(hidden, read)[0]
    if past := ways(between, width, layers):
        alone = partial(make_stack, cell, hidden=hidden, layers=1, options=options)
        each = [alone(width if layer else inputs) for layer in range(layers)]
        return DeepStack(each, past, dropout=dropout)
    if kind.fused is not None and read == kind.options_kind():
        return RecurrentStack(cell, inputs, hidden=hidden, layers=layers, dropout=dropout)
    further = {"options": read} if options else {}
    stack = CellStack(
        [kind(width if layer else inputs, hidden, **further) for layer in range(layers)],
        dropout=dropout,
    )
    for made in stack.cells():
        made.reset_parameters()
    return stack


def state_widths(
    cell: str, hidden: int, options: Mapping[str, str] | None = None
) -> dict[str, int]:
    """Return state → the width of its ``[L, B, ·]``, in the cell's order; the first is also the
    output's.

    Raises:
        UsageError: as ``make_stack``.
    """
    kind = cell_class(cell)
    widths = kind.widths(hidden, read_options(kind.options_kind, options or {}))
    return dict(zip(kind.states, widths, strict=True))


def zero_state(
    cell: str,
    *,
    layers: int,
    batch: int,
    hidden: int,
    device: torch.device | None = None,
    options: Mapping[str, str] | None = None,
) -> State:
    """Return the state of zeros: one float32 ``[L, B, H]`` per state tensor of the cell, or as wide
    as its options say, each its own tensor.
    """
    widths = state_widths(cell, hidden, options).values()
    return tuple(torch.zeros(layers, batch, width, device=device) for width in widths)
