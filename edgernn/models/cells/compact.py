"""The compact form of a cell: one time step in few products and few other operators; see
``models.compact``.

Shapes: B batch, I input, H hidden, V vocabulary, g gates.
"""

from __future__ import annotations

from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from edgernn.models.cells.base import Cell, GatedCell, InputGatedCell, State


class CompactCell(nn.Module):
    """One step of one layer, made from copies of a cell's weights.

    ``order`` is the order in which it keeps the blocks of rows, one of a gate each; empty where it
    is the cell's own. Where it is ``folded``, its input is the gates' pre-activations themselves.
    """

    order: ClassVar[tuple[int, ...]] = ()

    def __init__(self, cell: Cell, *, folded: bool) -> None:
        super().__init__()
        self.hidden = cell.hidden

    @classmethod
    def table(cls, cell: Cell, embedding: Tensor) -> Tensor:
        """Return ``[V, gH]``: what each row of ``embedding [V, I]`` adds to the gates, in
        ``order``; the input of a folded one.
        """
        assert isinstance(cell, InputGatedCell)
        w_ih, bias = cls.input_product(cell)  # [gH, I], [gH]
        return embedding @ w_ih.T + bias  # [V, gH]

    @classmethod
    def input_product(cls, cell: InputGatedCell) -> tuple[Tensor, Tensor]:
        """Return ``W [gH, I]`` and ``b [gH]`` of what the input adds to the gates, in ``order``."""
        return (
            reordered(cell.from_input.weight, cls.order, axis=0),
            reordered(cell.from_input.bias, cls.order, axis=0),
        )

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """Advance by one step.

        Args:
            x: ``[1, B, I]``; folded ``[1, B, gH]``, in ``order``.
            state: each ``[1, B, H]``.
            gates: ``[1, B, gH]``, in the cell's own order, added to what the gates get from ``x``.
        """
        raise NotImplementedError


class Joined(CompactCell):
    """A layer whose gates are sums of what comes from the input and from the state: one product
    serves both. Subclasses implement ``ending``.
    """

    def __init__(self, cell: InputGatedCell, *, folded: bool) -> None:
        super().__init__(cell, folded=folded)
        assert isinstance(cell, GatedCell)
        w_ih, bias = self.input_product(cell)
        w_hh = reordered(cell.from_hidden.weight, self.order, axis=0)
        self.from_hidden = copied(w_hh, None) if folded else None
        self.joined = None if folded else copied(torch.cat((w_ih, w_hh), 1), bias)  # [gH, I + H]

    @classmethod
    def input_product(cls, cell: InputGatedCell) -> tuple[Tensor, Tensor]:
        """See ``CompactCell.input_product``; the two biases are only ever summed."""
        assert isinstance(cell, GatedCell)
        w_ih, b_ih = super().input_product(cell)
        return w_ih, b_ih + reordered(cell.from_hidden.bias, cls.order, axis=0)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        """See ``CompactCell.forward``."""
        if self.joined is not None:
            summed = self.joined(torch.cat((x, state[0]), 2))  # [1, B, gH]
        else:
            assert self.from_hidden is not None
            summed = x + self.from_hidden(state[0])  # [1, B, gH]
        summed = summed if gates is None else summed + reordered(gates, self.order, axis=2)
        return self.ending(summed, state)

    def ending(self, gates: Tensor, state: State) -> State:
        """Return the state after the step, given the gates' pre-activations ``[1, B, gH]`` in
        ``order``.
        """
        raise NotImplementedError


class Along(nn.Module):
    """A product of the state that takes the input along: ``U h + W x + b`` is one product. Folded,
    the input is ``W x + b`` already.

    Args:
        u: of ``U [N, H]`` and its bias, where it has one.
        w: W, ``[N, I]``; left out where it is folded, as b ``[N]`` is.
        folded: as ``CompactCell`` takes it.
    """

    def __init__(self, u: nn.Linear, w: Tensor, b: Tensor, *, folded: bool) -> None:
        super().__init__()
        self.folded, bias = folded, cast("Tensor | None", u.bias)
        if folded:
            self.product = copied(u.weight, bias)
        else:
            joined = torch.cat((w, u.weight), 1)  # [N, I + H]
            self.product = copied(joined, b if bias is None else b + bias)

    def forward(self, x: Tensor, h: Tensor, added: Tensor | None = None) -> Tensor:
        """Return ``[1, B, N]``, given ``x [1, B, I]``, folded ``[1, B, N]``, ``h [1, B, H]``, and
        what is added, ``[1, B, N]``.
        """
        made: Tensor
        made = x + self.product(h) if self.folded else self.product(torch.cat((x, h), 2))
        return made if added is None else made + added


def reordered(tensor: Tensor, order: tuple[int, ...], *, axis: int) -> Tensor:
    """Put the blocks of one gate each along ``axis`` into ``order``."""
    blocks = tensor.chunk(max(len(order), 1), axis)
    return torch.cat([blocks[index] for index in order], axis) if order else tensor


def copied_norm(norm: nn.LayerNorm, order: tuple[int, ...] = ()) -> nn.LayerNorm:
    """Return a copy of a layer norm over ``[…, gH]`` whose blocks of one gate each stand in
    ``order``; its mean and variance do not depend on it.
    """
    made = nn.LayerNorm(norm.normalized_shape, norm.eps, device="meta")
    for name in ("weight", "bias"):
        held = reordered(norm.get_parameter(name).detach(), order, axis=0)
        setattr(made, name, nn.Parameter(held.clone()))
    return made


def copied(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """Return a linear layer of copies of ``weight [N, K]`` and ``bias [N]``."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach().clone().contiguous())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear
