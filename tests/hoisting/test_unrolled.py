"""Loops over time inside forward: cut between their turns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class Cells(nn.Module):
    """Two cells, one learned first state, and the last state given out."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTMCell(3, 4), nn.GRUCell(4, 5)
        self.head, self.start = nn.Linear(5, 2), nn.Parameter(torch.zeros(1, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = x.shape[0]
        h, c, g = self.start.expand(rows, 4), x.new_zeros(rows, 4), torch.zeros(rows, 5)
        made = []
        for t in range(x.shape[1]):
            h, c = self.first(x[:, t], (h, c))
            g = self.second(h, g)
            made.append(self.head(g))
        return torch.stack(made, 1), h


class TwoBack(nn.Module):
    """A centred convolution, then a loop that remembers two turns and fills a tensor in place."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.gate = nn.Conv1d(3, 4, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.front(x.transpose(1, 2)).transpose(1, 2))
        rows, frames, _ = x.shape
        h = older = torch.zeros(rows, 4)
        made = torch.zeros(rows, frames, 4)
        for t in range(frames):
            gate = torch.sigmoid(self.gate(torch.cat([x[:, t], h], 1)))
            h, older = h * gate + (1 - gate) * torch.tanh(x[:, t] + older), h
            made[:, t] = h
        return torch.softmax(made, -1)


class LayerByLayer(nn.Module):
    """Each layer runs over all frames before the next one does."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([nn.GRUCell(3, 4), nn.GRUCell(4, 4)])

    def forward(self, x: Tensor) -> Tensor:
        frames = list(x.unbind(1))
        for cell in self.cells:
            h, made = torch.zeros(x.shape[0], 4), []
            for frame in frames:
                h = cell(frame, h)
                made.append(h)
            frames = made
        return torch.stack(frames, 1)


class Translator(nn.Module):
    """A bidirectional encoder runs once, the decoder attends to it; torch.rand is never heeded."""

    def __init__(self) -> None:
        super().__init__()
        self.source, self.target = nn.Embedding(11, 6), nn.Embedding(9, 6)
        self.encoder = nn.GRU(6, 5, bidirectional=True, batch_first=True)
        self.bridge, self.query = nn.Linear(10, 8), nn.Linear(8, 10)
        self.decoder, self.head = nn.GRUCell(6 + 10, 8), nn.Linear(8 + 10, 9)

    def forward(self, source: Tensor, target: Tensor, forcing: float = 0.5) -> Tensor:
        memory, last = self.encoder(self.source(source))
        h = torch.tanh(self.bridge(torch.cat([last[0], last[1]], 1)))
        token, scores = target[:, 0], []
        for t in range(target.shape[1]):
            weights = torch.softmax(torch.einsum("bsd,bd->bs", memory, self.query(h)), 1)
            context = torch.einsum("bsd,bs->bd", memory, weights)
            h = self.decoder(torch.cat([self.target(token), context], 1), h)
            scores.append(self.head(torch.cat([h, context], 1)))
            follows = t + 1 < target.shape[1] and torch.rand(()) < forcing
            token = target[:, t + 1] if follows else scores[-1].argmax(1)
        return torch.stack(scores, 1)


_FRAMES = {"x": "float32[batch, time, 3]"}


@pytest.mark.parametrize(
    ("net", "states", "latency"),
    [
        (Cells, "first_state first_state_2 second_state", 0),
        (TwoBack, "front_past gate_state gate_state_2 frames_seen", 1),
        (LayerByLayer, "cells_0_state cells_1_state", 0),
    ],
)
def test_a_loop_is_cut_between_its_turns(net, states, latency):
    hoisted = hoist(drawn(net()), _FRAMES)
    assert [state.name for state in hoisted.found.states] == states.split()
    assert hoisted.contract.latency_frames == latency
    assert prove(hoisted, steps=40).error <= 1e-5


def test_what_runs_once_becomes_encode():
    inputs = {
        "source": "int64[batch, words] below 11",
        "target": "int64[batch, time] below 9",
    }
    hoisted = hoist(drawn(Translator()), inputs, fixed={"forcing": 1.0})
    assert hoisted.contract.initial_state == {"decoder_state": "encode"}
    assert [tensor.name for tensor in hoisted.contract.step.contexts] == ["context_0"]
    assert prove(hoisted, steps=24).error <= 1e-5
    with pytest.raises(ContractError, match="draws a random number to choose a branch"):
        hoist(drawn(Translator()), inputs)


class Backwards(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, made = torch.zeros(x.shape[0], 3), []
        for t in reversed(range(x.size(1))):
            h = self.cell(x[:, t], h)
            made.insert(0, h)
        return torch.stack(made, 1)


class AllOfThePast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, made = torch.zeros(x.shape[0], 3), []
        for t in range(x.size(1)):
            weights = torch.softmax((torch.stack([*made, h], 1) * x[:, t, None]).sum(-1), 1)
            heard = (weights[..., None] * torch.stack([*made, h], 1)).sum(1)
            h = self.cell(torch.cat([x[:, t], heard], 1), h)
            made.append(h)
        return torch.stack(made, 1)


@pytest.mark.parametrize(
    ("net", "said"),
    [(Backwards, "needs the future"), (AllOfThePast, "its state grows")],
)
def test_a_loop_that_cannot_be_stepped_is_refused(net, said):
    with pytest.raises(ContractError, match=said):
        hoist(drawn(net()), _FRAMES)
