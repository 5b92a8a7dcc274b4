"""What a cell is: one layer of a recurrent network, and one time step of it.

A new cell is one file with one class, and one row of ``table.CELLS``. A subclass of ``Cell`` says
what its state tensors are called and how they go on; that is enough to train it, and to export it
to every format step by step. What is fast is optional: torch's own layer over many time steps
(``fused``) or one that the cell brings (``over_time``), and a step of few operators (``compact``).

Shapes: B batch, T time, I input, H hidden, g gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from edgernn.models.cells.options import CellOptions

if TYPE_CHECKING:
    from edgernn.models.cells.compact import CompactCell

State = tuple[Tensor, ...]
C = TypeVar("C", bound="Cell")


class Cell(nn.Module):
    """One layer: ``x [B, I]`` and its state to the state after the step, whose first tensor is the
    layer's output.

    Subclasses set ``states``, make their parameters, and implement ``reset_parameters``, which the
    stack of them calls when it is made, and ``forward``. A linear layer that multiplies the state
    is called ``from_hidden``, so that tables of weights can tell it from others. A cell has every
    bias that its equations have; what has fewer (Keras with ``use_bias=False``, torch with
    ``bias=False``, files of one bias instead of two) is the same cell with zeros in the others.

    Args:
        inputs: I.
        hidden: H.
        options: what else is said of it, of ``options_kind``; its defaults where nothing is.

    Attributes:
        states: the names of the state tensors, each ``[B, H]`` unless ``widths`` says otherwise.
        options_kind: the options that there are.
        gates: rows, in units of H, of what may be added to what the gates get from ``x``; 0 where
            nothing may.
        fused: builds torch's layer that computes the same over many time steps from ``(I, H,
            num_layers=, dropout=, batch_first=)``; or None.
        compact: the step of few operators, or None.
    """

    states: ClassVar[tuple[str, ...]]
    options_kind: ClassVar[type[CellOptions]] = CellOptions
    gates: ClassVar[int] = 0
    fused: ClassVar[Callable[..., nn.RNNBase] | None] = None
    compact: ClassVar[type[CompactCell] | None] = None

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden
        self.options = self.options_kind() if options is None else options

    @classmethod
    def widths(cls, hidden: int, options: CellOptions) -> tuple[int, ...]:
        """Return the width of each state tensor; the first is the layer's output's, too."""
        return (hidden,) * len(cls.states)

    @classmethod
    def from_fused(cls: type[C], fused: nn.RNNBase, layer: int) -> C:
        """Return one layer of torch's own as a cell that shares its parameters."""
        raise NotImplementedError

    def reset_parameters(self) -> None:
        """Draw the parameters anew, as before training."""
        raise NotImplementedError

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> State:
        """Advance by one step.

        Args:
            x: the layer's input, ``[B, I]``.
            state: a ``[B, H]`` for each of ``states``, or as wide as ``widths`` says.
            gates: ``[B, gH]``, added to what the gates get from ``x``; only where ``gates`` of the
                class is not 0.

        Returns:
            The state after the step, in the order of ``states``.
        """
        raise NotImplementedError

    def over_time(
        self, x: Tensor, state: State, gates: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Advance by T steps: one after another, unless a subclass knows a faster way.

        Args:
            x: the layer's input, ``[B, T, I]``, T at least 1.
            state: as ``forward`` takes it.
            gates: as ``forward`` takes it, the same for each step.

        Returns:
            The layer's output of each step, ``[B, T, H]``, and the state after the last.
        """
        made: list[Tensor] = []
        for t in range(x.shape[1]):
            state = self(x[:, t], state) if gates is None else self(x[:, t], state, gates)
            made.append(state[0])  # [B, H]
        return torch.stack(made, 1), state


class InputGatedCell(Cell):
    """A cell whose gates get ``from_input``, which is linear in its input; subclasses set
    ``gates``.
    """

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        self.from_input = nn.Linear(inputs, self.gates * hidden)

    def reset_parameters(self) -> None:
        """Glorot input weights, zero biases."""
        for block in self.from_input.weight.data.split(self.hidden):  # [H, I]
            nn.init.xavier_uniform_(block)
        nn.init.zeros_(self.from_input.bias)

    def to_gates(self, x: Tensor, gates: Tensor | None) -> Tensor:
        """Return what the gates get from ``x [B, I]`` or ``[T, B, I]``, and ``gates [B, gH]``."""
        from_x: Tensor = self.from_input(x)  # [B, gH], or [T, B, gH]
        return from_x if gates is None else from_x + gates


class GatedCell(InputGatedCell):
    """A cell whose gates are linear in its input and its state; subclasses set ``gates`` and
    implement ``advance``.
    """

    def __init__(self, inputs: int, hidden: int, options: CellOptions | None = None) -> None:
        super().__init__(inputs, hidden, options)
        carried = self.widths(hidden, self.options)[0]  # of what comes back from the step before
        self.from_hidden = nn.Linear(carried, self.gates * hidden)

    @classmethod
    def from_fused(cls: type[G], fused: nn.RNNBase, layer: int) -> G:
        """See ``Cell.from_fused``."""
        w_ih, w_hh, b_ih, b_hh = fused.all_weights[layer]  # [gH, I], [gH, H], [gH], [gH]
        with torch.device("meta"):  # its own parameters are not needed
            cell = cls(w_ih.shape[1], w_hh.shape[1])
        for linear, weight, bias in ((cell.from_input, w_ih, b_ih), (cell.from_hidden, w_hh, b_hh)):
            linear.weight, linear.bias = weight, bias
        return cell

    def reset_parameters(self) -> None:
        """Glorot input weights, orthogonal recurrent blocks (Saxe et al. 2014), zero biases."""
        super().reset_parameters()
        for block in self.from_hidden.weight.data.split(self.hidden):  # [H, H], or [H, P]
            self.reset_recurrent(block)
        nn.init.zeros_(self.from_hidden.bias)

    def reset_recurrent(self, block: Tensor) -> None:
        """Draw one recurrent block ``[H, H]`` anew, in place."""
        nn.init.orthogonal_(block)

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> State:
        """See ``Cell.forward``."""
        return self.advance(self.to_gates(x, gates), self.from_hidden(state[0]), state)

    def over_time(
        self, x: Tensor, state: State, gates: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """See ``Cell.over_time``; the input's product is one for all steps."""
        made: list[Tensor] = []
        for from_x in self.to_gates(x.transpose(0, 1), gates).unbind(0):  # [B, gH] each
            state = self.advance(from_x, self.from_hidden(state[0]), state)
            made.append(state[0])
        return torch.stack(made, 1), state

    def advance(self, x: Tensor, h: Tensor, state: State) -> State:
        """Return the state after a step, given both halves of the gates' pre-activations.

        Args:
            x: ``W_ih x + b_ih``, ``[B, gH]``.
            h: ``W_hh h + b_hh``, ``[B, gH]``.
            state: the state before, each ``[B, H]``.
        """
        raise NotImplementedError


G = TypeVar("G", bound=GatedCell)
