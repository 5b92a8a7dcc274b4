"""The deep recurrent stack: layers that stand alone, each over all time steps before the next, and
a way past each of them; see ``models.between``.

Shapes: B batch, T time, L layers, I input, H hidden, P the width of a layer's output, g gates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edgernn.errors import UsageError
from edgernn.models.between import BETWEEN
from edgernn.models.cells.base import Cell, State
from edgernn.wording import expected_one_of

if TYPE_CHECKING:
    from edgernn.models.recurrent import CellStack, RecurrentStack


_SHUT = -1.0


class Way(nn.Module):
    """From what came to a layer, and what the layer made of it, to what it passes up."""

    def forward(self, below: Tensor, made: Tensor) -> Tensor:
        """Return what is passed up, of the shape of ``below`` and ``made``, ``[…, P]``."""
        raise NotImplementedError


class Residual(Way):
    """The sum."""

    def forward(self, below: Tensor, made: Tensor) -> Tensor:
        """See ``Way.forward``."""
        return below + made


class Highway(Way):
    """A mean of the two, weighted by a gate for each number; the parameters are ``gate.weight [P,
    P]`` and ``gate.bias [P]``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.gate.weight)
        nn.init.constant_(self.gate.bias, _SHUT)

    def forward(self, below: Tensor, made: Tensor) -> Tensor:
        """See ``Way.forward``."""
        return below + torch.sigmoid(self.gate(below)) * (made - below)


def ways(between: str, width: int, layers: int) -> list[Way]:
    """Return the ways past each layer but the first; none where the layers are plain.

    Args:
        between: one of ``BETWEEN``.
        width: P.
        layers: L.

    Raises:
        UsageError: an unknown kind.
    """
    if between not in BETWEEN:
        raise UsageError(
            f"unknown way between layers {between!r}; {expected_one_of(between, BETWEEN)}"
        )
    if between == "plain":
        return []
    return [Residual() if between == "residual" else Highway(width) for _ in range(layers - 1)]


class DeepStack(nn.Module):
    """L stacks of one layer each, of whichever face its cell has, with what passes between them.

    Its parameters are ``layers.0.fused.weight_ih_l0`` and so on, as each stack has them, and those
    of the ways, ``ways.0.…`` past layer 1.

    Args:
        layers: the stacks, from the input up.
        ways: past each layer but the first.
        dropout: the share of a layer's input that is dropped, in training; the way past it drops
            nothing.
    """

    def __init__(
        self,
        layers: Sequence[RecurrentStack | CellStack | DeepStack],
        ways: Iterable[nn.Module],
        *,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.ways = nn.ModuleList(ways)
        self.dropout = dropout

    @property
    def open_time(self) -> bool:
        """Whether a traced graph of it takes any number of time steps."""
        return all(layer.open_time for layer in self.layers)

    def by_cell(self) -> DeepStack:
        """Return it with the step face of each layer, which shares the parameters."""
        own: list[RecurrentStack | CellStack] = list(self.layers)  # type: ignore[arg-type]
        return DeepStack([layer.by_cell() for layer in own], self.ways)

    def cells(self) -> list[Cell]:
        """Return the layers as cells, which share the parameters."""
        return [cell for layer in self.layers for cell in layer.cells()]  # type: ignore[operator]

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> tuple[Tensor, State]:
        """Run ``x [B, T, I]`` from ``state``, a tuple of ``[L, B, H]``; return what the top passes
        up, ``[B, T, P]``, and the state after T.

        ``gates [B, gH]`` is added to what the first layer's gates get from ``x``; only where the
        first layer has the step face.
        """
        by_layer = zip(*(tensor.split(1) for tensor in state), strict=True)  # each [1, B, H]
        first, *others = self.layers
        y, after = first(x, next(by_layer), *(() if gates is None else (gates,)))  # [B, T, P]
        all_after = [after]
        for layer, way, before in zip(others, self.ways, by_layer, strict=True):
            made, after = layer(nn.functional.dropout(y, self.dropout, self.training), before)
            y = way(y, made)  # [B, T, P]
            all_after.append(after)
        return y, tuple(torch.cat(tensors) for tensors in zip(*all_after, strict=True))
