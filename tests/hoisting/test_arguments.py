"""Networks that take state and give it back: paired, and equal to the network over 256 calls."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 2)


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTMCell(3, 4), nn.Linear(4, 2)


class H(Gru):
    def init_hidden(self, batch_size: int) -> Tensor:
        return self.out.weight.new_zeros(batch_size, 4)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(x, h)
        return self.out(h), h


class StateFirst(H):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(x, h)
        return h, torch.tanh(h)


class Pair(Lstm):
    def init_hidden(self, batch_size: int) -> Any:
        return torch.zeros(batch_size, 4), torch.ones(batch_size, 4)

    def forward(self, x: Tensor, hidden: tuple[Tensor, Tensor]) -> Any:
        h, c = self.cell(x, hidden)
        return self.out(h), (h, c)


class Apart(Pair):
    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
        h, c = self.cell(x, (h, c))
        return self.out(h), h, c


class ApartTogether(Pair):
    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Any:
        h, c = self.cell(x, (h, c))
        return self.out(h), (h, c)


class Hx(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4, 2, batch_first=True)

    def forward(self, x: Tensor, lengths: Any = None, hx: Any = None) -> Any:
        return self.rnn(x, hx)


class ListOfTuples(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([nn.LSTMCell(3, 4), nn.LSTMCell(4, 5)])

    def initial_state(self, batch: int) -> list[tuple[Tensor, Tensor]]:
        return [(torch.zeros(batch, n), torch.zeros(batch, n)) for n in (4, 5)]

    def forward(self, x: Tensor, states: list[tuple[Tensor, Tensor]]) -> Any:
        after = []
        for cell, state in zip(self.cells, states, strict=True):
            after.append(cell(x, state))
            x = after[-1][0]
        return x, after


class Stacked(Gru):
    """Layers stacked, rows on the second axis."""

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Any:
        hidden = x.new_zeros(2, len(x), 4) if hidden is None else hidden
        first = self.cell(x, hidden[0])
        second = self.cell(x, hidden[1] + first)
        return self.out(second), torch.stack([first, second])


class Dict(H):
    def forward(self, x: Tensor, state: dict[str, Tensor]) -> dict[str, Any]:
        h = self.cell(x, state["h"])
        return {"scores": torch.log_softmax(self.out(h), -1), "state": {"h": h}}

    def init_state(self, batch: int) -> dict[str, Tensor]:
        return {"h": torch.zeros(batch, 4)}


class Result(NamedTuple):
    policy: Tensor
    value: Tensor
    h: Tensor


class Named(H):
    """Several heads in a named tuple."""

    def forward(self, x: Tensor, h: Tensor) -> Result:
        h = self.cell(x, h)
        return Result(self.out(h), h.mean(-1, keepdim=True), h)


class Learned(H):
    """The first state is a parameter, and taken inside forward."""

    def __init__(self) -> None:
        super().__init__()
        self.h0 = nn.Parameter(torch.zeros(1, 4))

    def forward(self, x: Tensor, h: Tensor | None = None) -> Any:
        h = self.cell(x, self.h0.expand(len(x), -1) if h is None else h)
        return self.out(h), h


class Sample(H):
    """The step is sample; ids come in, and an input that is constant."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)

    def sample(self, ids: Tensor, speaker: Tensor, h: Tensor) -> Any:
        h = self.cell(self.embed(ids) + speaker, h)
        return self.out(h), h


class InputFeed(H):
    """The last output is fed back."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Linear(5, 3)

    def start(self, batch: int) -> dict[str, Tensor]:
        return {"h": torch.zeros(batch, 4), "feed": torch.zeros(batch, 2)}

    def forward(self, x: Tensor, feed: Tensor, h: Tensor) -> Any:
        h = self.cell(self.front(torch.cat([x, feed], 1)), h)
        feed = self.out(h)
        return feed, feed, h


class Written(H):
    """The next state is written into the tensor that was given."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        h.copy_(self.cell(x, h))
        return self.out(h)


class WrittenEntries(H):
    """The next state is put into the dict that was given."""

    def start(self, batch: int) -> dict[str, Tensor]:
        return {}

    def forward(self, x: Tensor, cache: dict[str, Tensor]) -> Tensor:
        cache["h"] = self.cell(x, cache.get("h"))
        return self.out(cache["h"])


class Twice(H):
    """One module called twice, weights normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.front = parametrizations.weight_norm(nn.Linear(3, 3))

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(self.front(torch.tanh(self.front(x))), h)
        return self.out(h), h


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)


class Custom(H):
    """A function with a gradient of its own."""

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(Swish.apply(x), h)
        return self.out(h), h


class Compiled(H):
    """A part of it is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.front = torch.compile(nn.Linear(3, 3))

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(self.front(x), h)
        return self.out(h), h


class Counted(H):
    """A number of Python among the state."""

    def start(self, batch: int) -> tuple[Tensor, int]:
        return torch.zeros(batch, 4), 0

    def forward(self, x: Tensor, state: tuple[Tensor, int]) -> Any:
        h, t = self.cell(x, state[0]), state[1]
        return self.out(h) / (1 + t), (h, t + 1)


_X = {"x": "float32[batch, 3]"}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
@pytest.mark.parametrize(
    ("net", "inputs", "states"),
    [
        (H, _X, "h"),
        (StateFirst, _X, "h"),
        (Pair, _X, "hidden_0 hidden_1"),
        (Apart, _X, "h c"),
        (ApartTogether, _X, "h c"),
        (Hx, {"x": "float32[batch, time, 3]"}, "hx_0 hx_1"),
        (ListOfTuples, _X, "states_0_0 states_0_1 states_1_0 states_1_1"),
        (Stacked, _X, "hidden"),
        (Dict, _X, "state_h"),
        (Named, _X, "h"),
        (Learned, _X, "h"),
        (Sample, {"ids": "int64[batch] below 7", "speaker": "float32[batch, 3]"}, "h"),
        (InputFeed, _X, "feed h"),
        (Written, _X, "h"),
        (WrittenEntries, _X, "cache_h"),
        (Twice, _X, "h"),
        (Custom, _X, "h"),
        (Compiled, _X, "h"),
        (lambda: torch.compile(H()), _X, "h"),
        (lambda: H().double(), {"x": "float64[batch, 3]"}, "h"),
        (Counted, _X, "state_0 state_1"),
        (lambda: nn.GRUCell(3, 4), {"input": "float32[batch, 3]"}, "hx"),
        (lambda: nn.LSTM(3, 4), {"input": "float32[time, batch, 3]"}, "hx_0 hx_1"),
    ],
)
def test_state_in_arguments_is_paired(net, inputs, states):
    method = "sample" if net is Sample else "forward"
    hoisted = hoist(drawn(net()), inputs, method=method)
    assert [state.name for state in hoisted.contract.step.states] == states.split()
    assert prove(hoisted, steps=256).error <= 1e-5
