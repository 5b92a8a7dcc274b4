"""Networks that keep state in themselves: each found, and equal to the network over 256 calls."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class Kept(nn.Module):
    """A cell whose state is kept by what a test says."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 4), nn.Linear(4, 2)
        for name, value in attributes.items():
            setattr(self, name, value)


class NoneFirst(Kept):
    def forward(self, x: Tensor) -> Tensor:
        if self.h is None:
            self.h = x.new_zeros(len(x), 4)
        self.h = self.cell(x, self.h).detach()
        return self.out(self.h)


class InADict(Kept):
    def forward(self, x: Tensor) -> Tensor:
        self.memory["h"] = self.cell(x, self.memory.get("h"))
        self.memory["calls"] = self.memory.get("calls", 0) + 1
        return self.out(self.memory["h"]) / self.memory["calls"]


class QueueOfZeros(Kept):
    """Made for one row, full from the start."""

    def forward(self, x: Tensor) -> Tensor:
        self.past.append(self.cell(x, self.past[-1]))
        return self.out(torch.stack(list(self.past)).mean(0))


class QueueThatFills(Kept):
    """Its sum does not care for what has not come yet."""

    def forward(self, x: Tensor) -> Tensor:
        self.past.append(self.cell(x, self.past[-1] if self.past else None))
        return self.out(sum(self.past))


class List(Kept):
    def forward(self, x: Tensor) -> Tensor:
        self.past = [self.cell(x, self.past[1]), self.past[0]]
        return self.out(self.past[0] - self.past[1])


class SevenTensors(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(nn.RNNCell(3, 3) for _ in range(7))
        for at in range(7):
            setattr(self, f"h{at}", torch.zeros(1, 3))

    def forward(self, x: Tensor) -> Tensor:
        for at, cell in enumerate(self.cells):
            x = cell(x, getattr(self, f"h{at}"))
            setattr(self, f"h{at}", x)
        return x


class Ring(Kept):
    """A ring of five inputs with a tensor for its place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ring", torch.zeros(5, 1, 3))
        self.register_buffer("place", torch.zeros(1, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        self.ring = self.ring.index_copy(0, self.place, x[None])
        self.place = (self.place + 1) % 5
        return self.out(self.cell(self.ring.mean(0), self.ring.amax(0) @ torch.ones(3, 4)))


class MadeForABatch(nn.Module):
    """Its hidden state is made for four rows in the constructor; time first."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, 2)
        self.hidden = torch.zeros(2, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y, hidden = self.gru(x, self.hidden)
        self.hidden = hidden.detach()
        return y


class ResetAtEveryCall(nn.Module):
    """A sequence a call: what is left in the attribute is never read."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.hidden, self.calls = nn.GRU(3, 4, batch_first=True), None, 0

    def reset(self, rows: int) -> None:
        self.hidden = torch.zeros(1, rows, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.reset(len(x))
        self.calls += 1
        y, self.hidden = self.gru(x, self.hidden)
        return y


class LastAttention(Kept):
    """Keeps its last gate to be looked at."""

    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.h)
        self.attention = torch.softmax(self.h, -1)
        return self.out(self.h * self.attention)


class LearnedInside(nn.Module):
    """The first state is a parameter, taken where there is none yet."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.h0, self.h = nn.GRUCell(3, 4), nn.Parameter(torch.zeros(4)), None

    def forward(self, x: Tensor) -> Tensor:
        h = self.h0.expand(len(x), -1) if self.h is None else self.h
        self.h = self.cell(x, h)
        return self.h


class FromAMethod(nn.Module):
    """No attribute until init_hidden made it, and none at all without it."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 4)

    def init_hidden(self, batch_size: int, device: str = "cpu") -> None:
        self.hidden = tuple(torch.full((batch_size, 4), 0.5, device=device) for _ in "hc")

    def forward(self, x: Tensor) -> Tensor:
        self.hidden = self.cell(x, self.hidden)
        return self.hidden[0]


class Flag(Kept):
    """A flag says that the first call was made."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.started:
            self.h, self.started = torch.zeros(len(x), 4), True
        self.h = self.cell(x, self.h)
        return self.out(self.h)


class Counter(Kept):
    """A number of Python that is read."""

    def forward(self, x: Tensor) -> Tensor:
        self.h, self.t = self.cell(x, self.h), self.t + 1
        return self.out(self.h) / (1 + self.t) + 0.9**self.t


@dataclass
class Memory:
    h: Tensor
    average: Tensor


class Dataclass(Kept):
    def forward(self, x: Tensor) -> Tensor:
        h = self.cell(x, self.memory.h)
        self.memory = replace(self.memory, h=h, average=0.9 * self.memory.average + 0.1 * h)
        return self.out(self.memory.average)


class Cache:
    def __init__(self) -> None:
        self.h, self.name = torch.zeros(1, 4), "cache"


class OfAnObject(Kept):
    def forward(self, x: Tensor) -> Tensor:
        self.cache.h = self.cell(x, self.cache.h)
        return self.out(self.cache.h)


class Children(nn.Module):
    """A child that keeps its own state, called twice; the parent keeps the last output, too."""

    def __init__(self) -> None:
        super().__init__()
        self.child, self.last, self.front = NoneFirst(h=None), None, nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        last = x.new_zeros(len(x), 2) if self.last is None else self.last
        y = self.child(self.front(torch.cat([x, last], 1)))
        self.last = self.child(x + y.mean(-1, keepdim=True))
        return self.last


class MadeAnew(Kept):
    """A buffer of one row that is made anew for another number of them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("h", torch.zeros(1, 4))

    def forward(self, x: Tensor) -> Tensor:
        if self.h.shape[0] != len(x):
            self.h = self.h.new_zeros(len(x), 4)
        self.h.copy_(self.cell(x, self.h))
        return self.out(self.h)


class Double(Kept):
    """Float64 all along."""

    def forward(self, x: Tensor) -> Tensor:
        self.h = self.cell(x, self.h)
        return self.out(self.h)


_ROW, _FRAMES, _FIRST = (f"float32[{a}, 3]" for a in ("batch", "batch, time", "time, batch"))


@pytest.mark.parametrize(
    ("net", "x", "states"),
    [
        (lambda: NoneFirst(h=None), _ROW, "h"),
        (lambda: InADict(memory={}), _ROW, "memory_h memory_calls"),
        (
            lambda: QueueOfZeros(past=deque([torch.zeros(1, 4)] * 3, 3)), _ROW,
            "past_0 past_1 past_2",
        ),
        (lambda: QueueThatFills(past=deque(maxlen=2)), _ROW, "past_0 past_1"),
        (lambda: List(past=[torch.zeros(1, 4)] * 2), _ROW, "past_0 past_1"),
        (SevenTensors, _ROW, "h0 h1 h2 h3 h4 h5 h6"),
        (Ring, _ROW, "ring place"),
        (MadeForABatch, _FIRST, "hidden"),
        (ResetAtEveryCall, _FRAMES, "gru_h"),
        (lambda: LastAttention(h=None, attention=None), _ROW, "h"),
        (LearnedInside, _ROW, "h"),
        (FromAMethod, _ROW, "hidden_0 hidden_1"),
        (lambda: Flag(h=None, started=False), _ROW, "h"),
        (lambda: Counter(h=None, t=0), _ROW, "h t"),
        (
            lambda: Dataclass(memory=Memory(torch.zeros(1, 4), torch.zeros(1, 4))), _ROW,
            "memory_h memory_average",
        ),
        (lambda: OfAnObject(cache=Cache()), _ROW, "cache_h"),
        (MadeAnew, _ROW, "h"),
        (Children, _ROW, "last child_h"),
        (lambda: Double(h=None).double(), "float64[batch, 3]", "h"),
    ],
)  # fmt: skip
def test_state_in_attributes_is_found(net, x, states):
    hoisted = hoist(drawn(net()), {"x": x})
    assert [state.name for state in hoisted.contract.step.states] == states.split()
    assert prove(hoisted, steps=256).error <= 1e-5
