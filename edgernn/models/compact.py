"""The compact step face of a recurrent stack: as few products, and as few other operators, as one
time step can have.

A step of a small network is short, so what it costs beside reading the weights is the number of
operators. Here

- an LSTM or RNN layer multiplies once, ``[W_ih W_hh] [x; h]``, instead of twice;
- the rows of an LSTM stand in the order i, f, o, g, so that one sigmoid serves three gates;
- the state stays ``[1, B, H]`` for each layer, so that nothing is squeezed and stacked again;
- the first layer may be folded into a table: row t of ``E W_ihᵀ + b`` is all that token t adds to
  its gates.

The sums are the same numbers in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
Weights = tuple[Tensor, Tensor, Tensor, Tensor]  # W_ih [gH, I], W_hh [gH, H], b_ih [gH], b_hh [gH]


class CompactStack(nn.Module):
    """One time step of L layers; see the module's docstring.

    Args:
        cell: a key of ``contract.CELL_STATES``.
        weights: of each layer, in torch's row order; they are copied.
        folded: the first layer's input is its gate pre-activations, as ``input_table`` gives them,
            not ``x``.
    """

    def __init__(self, cell: str, weights: Sequence[Weights], *, folded: bool = False) -> None:
        super().__init__()
        row = _CELLS[cell]
        layers = [
            row.layer(row, weight, folded and index == 0) for index, weight in enumerate(weights)
        ]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, state: State, gates: Tensor | None = None) -> tuple[Tensor, State]:
        """Run ``x [B, 1, I]`` (folded: ``[B, 1, gH]``) from ``state``, each ``[L, B, H]``.

        ``gates [B, gH]``, rows in torch's order, is added to what the first layer's gates get from
        ``x``.

        Returns:
            The top layer's ``[B, 1, H]``, and the state after the step.
        """
        if x.shape[1] != 1:
            raise ValueError(f"the step face takes one time step, got {x.shape[1]}")
        y = x.transpose(0, 1)  # [1, B, I]
        before = zip(*(_by_layer(tensor, len(self.layers)) for tensor in state), strict=True)
        after: list[State] = []
        for layer, tensors in zip(self.layers, before, strict=True):
            after.append(layer(y, tensors, None if gates is None or after else gates.unsqueeze(0)))
            y = after[-1][0]  # [1, B, H]
        return y.transpose(0, 1), tuple(_together(tensors) for tensors in zip(*after, strict=True))


def input_table(cell: str, embedding: Tensor, weights: Weights) -> Tensor:
    """Return ``E W_ihᵀ + b``, ``[V, gH]``: what each token adds to the gates of a folded first
    layer.

    ``b`` is the bias of the input, and of the state where the two are only ever summed.
    """
    row = _CELLS[cell]
    w_ih, _, b_ih, b_hh = _ordered(row, weights)
    return embedding @ w_ih.T + (b_ih + b_hh if row.layer is _Joined else b_ih)


class _Joined(nn.Module):
    """A layer whose gates are sums of what comes from the input and from the state: one product
    serves both.
    """

    def __init__(self, row: _Row, weights: Weights, folded: bool) -> None:
        super().__init__()
        self.advance, self.order, self.hidden = row.advance, row.order, weights[1].shape[1]
        w_ih, w_hh, b_ih, b_hh = _ordered(row, weights)
        self.from_hidden = None if not folded else _linear(w_hh, None)
        self.joined = None if folded else _linear(torch.cat((w_ih, w_hh), 1), b_ih + b_hh)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        if self.joined is not None:
            heard = self.joined(torch.cat((x, state[0]), 2))  # [1, B, gH]
        else:
            assert self.from_hidden is not None
            heard = x + self.from_hidden(state[0])
        return self.advance(
            heard if gates is None else heard + _reordered(gates, self.order, axis=2),
            state,
            self.hidden,
        )


class _Apart(nn.Module):
    """A GRU layer: its reset gate stands between the two products."""

    def __init__(self, row: _Row, weights: Weights, folded: bool) -> None:
        super().__init__()
        w_ih, w_hh, b_ih, b_hh = weights
        self.hidden = w_hh.shape[1]
        self.from_input = None if folded else _linear(w_ih, b_ih)
        self.from_hidden = _linear(w_hh, b_hh)

    def forward(self, x: Tensor, state: State, gates: Tensor | None) -> State:
        heard = x if self.from_input is None else self.from_input(x)  # [1, B, 3H]
        heard = heard if gates is None else heard + gates
        sizes = [2 * self.hidden, self.hidden]
        x_rz, x_n = heard.split(sizes, 2)
        h_rz, h_n = self.from_hidden(state[0]).split(sizes, 2)
        r, z = torch.sigmoid(x_rz + h_rz).split([self.hidden] * 2, 2)
        n = torch.tanh(x_n + r * h_n)
        return (n + z * (state[0] - n),)


def _advance_lstm(heard: Tensor, state: State, hidden: int) -> State:
    """See ``recurrent.lstm_step``; ``heard [1, B, 4H]`` in the order i, f, o, g."""
    sigmoids, g = heard.split([3 * hidden, hidden], 2)
    i, f, o = torch.sigmoid(sigmoids).split([hidden] * 3, 2)
    c = f * state[1] + i * torch.tanh(g)
    return o * torch.tanh(c), c


@dataclass(frozen=True)
class _Row:
    """How a cell is made compact: its layer, how its gates advance, and the order of its row
    blocks.
    """

    layer: Callable[[_Row, Weights, bool], nn.Module]
    advance: Callable[[Tensor, State, int], State]
    order: tuple[int, ...] = ()


_CELLS = {
    "lstm": _Row(_Joined, _advance_lstm, (0, 1, 3, 2)),
    "gru": _Row(_Apart, lambda heard, state, hidden: state),
    "rnn": _Row(_Joined, lambda heard, state, hidden: (torch.tanh(heard),)),
    "rnn_relu": _Row(_Joined, lambda heard, state, hidden: (torch.relu(heard),)),
}


def _ordered(row: _Row, weights: Weights) -> Weights:
    w_ih, w_hh, b_ih, b_hh = (_reordered(tensor, row.order, axis=0) for tensor in weights)
    return w_ih, w_hh, b_ih, b_hh


def _reordered(tensor: Tensor, order: tuple[int, ...], *, axis: int) -> Tensor:
    """Put the blocks of one gate each along ``axis`` into ``order``."""
    blocks = tensor.chunk(max(len(order), 1), axis)
    return torch.cat([blocks[index] for index in order], axis) if order else tensor


def _by_layer(tensor: Tensor, layers: int) -> tuple[Tensor, ...]:
    return tuple(tensor.split(1)) if layers > 1 else (tensor,)  # each [1, B, H]


def _together(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat(tuple(tensors)) if len(tensors) > 1 else tensors[0]


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    linear.weight = nn.Parameter(weight.detach().clone().contiguous())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear
