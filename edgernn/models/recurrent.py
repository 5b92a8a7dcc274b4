"""Recurrent stacks with two faces made from the same weights.

The **fused** face is torch's own layer (``nn.LSTM``, ``nn.GRU``, ``nn.RNN``): any number of time
steps T in one call. The **step** face writes one time step out as matrix products and gates: T = 1,
no recurrent operator, for runtimes whose recurrent operators are missing, slow or not quantisable.
A new cell is one row of ``CELLS``.

Shapes: B batch, T time, L layers, H hidden, I input. A state is a tuple of ``[L, B, H]`` tensors in
the order of ``contract.CELL_STATES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgernn.contract import CELL_STATES
from edgernn.errors import UsageError
from edgernn.wording import expected_one_of

State = tuple[Tensor, ...]
Step = Callable[[Tensor, Tensor, State], State]


def lstm_step(x: Tensor, h: Tensor, state: State) -> State:
    r"""Advance an LSTM by one step, given both halves of its gate pre-activations.

    With the rows in the order i, f, g, o (Hochreiter & Schmidhuber 1997; forget gate of Gers et al.
    2000)::

        i = σ(x_i + h_i)    f = σ(x_f + h_f)    g = tanh(x_g + h_g)    o = σ(x_o + h_o)
        c' = f ⊙ c + i ⊙ g                      h' = o ⊙ tanh(c')

    Args:
        x: ``W_ih x + b_ih``, ``[B, 4H]``.
        h: ``W_hh h + b_hh``, ``[B, 4H]``.
        state: ``(h, c)``, each ``[B, H]``.
    """
    i, f, g, o = (x + h).chunk(4, dim=-1)
    c_next = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c_next), c_next


def gru_step(x: Tensor, h: Tensor, state: State) -> State:
    r"""Advance a GRU by one step, given both halves of its gate pre-activations.

    With the rows in the order r, z, n and the reset gate applied AFTER the hidden product, as cuDNN
    and torch do (Cho et al. 2014, version 1; ONNX ``linear_before_reset = 1``)::

        r = σ(x_r + h_r)    z = σ(x_z + h_z)    n = tanh(x_n + r ⊙ h_n)    h' = (1 - z) ⊙ n + z ⊙ h

    Args:
        x: ``W_ih x + b_ih``, ``[B, 3H]``.
        h: ``W_hh h + b_hh``, ``[B, 3H]``.
        state: ``(h,)``, ``[B, H]``.
    """
    x_r, x_z, x_n = x.chunk(3, dim=-1)
    h_r, h_z, h_n = h.chunk(3, dim=-1)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return (n + z * (state[0] - n),)


def rnn_step(x: Tensor, h: Tensor, state: State) -> State:
    """Advance a vanilla RNN (Elman 1990) by one step: ``h' = tanh(x + h)``; arguments as
    ``gru_step``, rows ``[B, H]``.
    """
    return (torch.tanh(x + h),)


def rnn_relu_step(x: Tensor, h: Tensor, state: State) -> State:
    """Advance a rectified RNN (Le et al. 2015) by one step: ``h' = max(0, x + h)``; arguments as
    ``rnn_step``.
    """
    return (torch.relu(x + h),)


@dataclass(frozen=True)
class Cell:
    """One kind of recurrent cell.

    Attributes:
        gates: rows of the weight matrices in units of H.
        layer: builds torch's fused layer from ``(I, H, num_layers=, dropout=)``, batch first.
        step: one time step of one layer.
    """

    gates: int
    layer: Callable[..., nn.RNNBase]
    step: Step


def _rnn(nonlinearity: str) -> Callable[..., nn.RNNBase]:
    return lambda *sizes, **options: nn.RNN(*sizes, nonlinearity=nonlinearity, **options)


CELLS = {
    "lstm": Cell(4, nn.LSTM, lstm_step),
    "gru": Cell(3, nn.GRU, gru_step),
    "rnn": Cell(1, _rnn("tanh"), rnn_step),
    "rnn_relu": Cell(1, _rnn("relu"), rnn_relu_step),
}


def cell_row(name: str) -> Cell:
    """Return the row of ``CELLS``; raise UsageError naming the known cells."""
    if name not in CELLS:
        raise UsageError(f"unknown cell {name!r}; {expected_one_of(name, CELLS)}")
    return CELLS[name]


class RecurrentStack(nn.Module):
    """The fused face: L layers of one cell over ``[B, T, I]``, the state in and out as a tuple of
    ``[L, B, H]``.
    """

    def __init__(
        self, cell: str, input_size: int, *, hidden: int, layers: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.cell, self.layers, self.hidden = cell, layers, hidden
        between = dropout if layers > 1 else 0.0
        self.fused = cell_row(cell).layer(
            input_size, hidden, num_layers=layers, dropout=between, batch_first=True
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Orthogonal recurrent blocks (Saxe et al. 2014), Glorot input weights, zero biases,
        forget-gate bias 1.

        The forget-gate bias follows Gers et al. 2000 and Jozefowicz et al. 2015; it stands in
        ``bias_ih`` alone. A rectified RNN starts from the identity, as Le et al. 2015.
        """
        for name, weight in self.fused.named_parameters():
            if name.startswith("weight_hh"):
                for block in weight.data.split(self.hidden):
                    nn.init.eye_(block) if self.cell == "rnn_relu" else nn.init.orthogonal_(block)
            elif name.startswith("weight_ih"):
                for block in weight.data.split(self.hidden):
                    nn.init.xavier_uniform_(block)
            else:
                nn.init.zeros_(weight)
                if self.cell == "lstm" and name.startswith("bias_ih"):
                    weight.data[self.hidden : 2 * self.hidden] = 1.0

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run ``x [B, T, I]`` from ``state``; return the top layer's ``[B, T, H]`` and the state
        after T.
        """
        packed = state if len(state) > 1 else state[0]
        y, packed = self.fused(x, packed)  # [B, T, H]
        return y, packed if isinstance(packed, tuple) else (packed,)

    def weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return ``W_ih [gH, I], W_hh [gH, H], b_ih [gH], b_hh [gH]`` of one layer."""
        w_ih, w_hh, b_ih, b_hh = self.fused.all_weights[layer]
        return w_ih, w_hh, b_ih, b_hh


class StepStack(nn.Module):
    """The step face of a stack: shares its parameters, takes T = 1 only, and uses no recurrent
    operator.
    """

    def __init__(self, stack: RecurrentStack) -> None:
        super().__init__()
        self.step = cell_row(stack.cell).step
        self.from_input = nn.ModuleList()
        self.from_hidden = nn.ModuleList()
        for layer in range(stack.layers):
            w_ih, w_hh, b_ih, b_hh = stack.weights(layer)
            self.from_input.append(_linear(w_ih, b_ih))
            self.from_hidden.append(_linear(w_hh, b_hh))

    def weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See ``RecurrentStack.weights``."""
        from_input, from_hidden = self.from_input[layer], self.from_hidden[layer]
        assert isinstance(from_input, nn.Linear) and isinstance(from_hidden, nn.Linear)
        return from_input.weight, from_hidden.weight, from_input.bias, from_hidden.bias

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> tuple[Tensor, State]:
        """Run ``x [B, 1, I]`` from ``state``; return the top layer's ``[B, 1, H]`` and the state
        after it.

        ``gates [B, gH]`` is added to what the first layer's gates get from ``x``.
        """
        if x.shape[1] != 1:
            raise ValueError(f"the step face takes one time step, got {x.shape[1]}")
        x = x[:, 0]  # [B, I]
        after: list[State] = []
        for layer, (from_input, from_hidden) in enumerate(
            zip(self.from_input, self.from_hidden, strict=True)
        ):
            before = tuple(tensor[layer] for tensor in state)  # each [B, H]
            heard = from_input(x) if gates is None or layer else from_input(x) + gates  # [B, gH]
            after.append(self.step(heard, from_hidden(before[0]), before))
            x = after[-1][0]
        return x.unsqueeze(1), tuple(torch.stack(tensors) for tensors in zip(*after, strict=True))


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """Wrap existing parameters, not copies of them."""
    linear = nn.Linear(weight.shape[1], weight.shape[0], device="meta")
    linear.weight, linear.bias = weight, bias  # type: ignore[assignment]
    return linear


def zero_state(
    cell: str, *, layers: int, batch: int, hidden: int, device: torch.device | None = None
) -> State:
    """Return the state of zeros: one float32 ``[L, B, H]`` per state tensor of the cell, each its
    own tensor.
    """
    return tuple(torch.zeros(layers, batch, hidden, device=device) for _ in CELL_STATES[cell])
