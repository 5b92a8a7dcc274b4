"""Positions, tables of them, a loop's variable, and a first turn of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.errors import ContractError
from edgernn.export.module_bundle import export_module
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from edgernn.sessions.opening import open_session
from tests.hoisting.drawn import drawn

_INPUTS = {"x": "float32[batch, time, 4]"}


class Tables(nn.Module):
    """What the networks here are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.layer = nn.GRUCell(4, 4), nn.GRU(4, 4, batch_first=True)
        self.mix, self.front = nn.Linear(5, 4), nn.Conv1d(4, 4, 3, padding=1)
        self.strided = nn.Conv1d(4, 4, 4, stride=2, padding=1)
        self.positions, self.embedded = nn.Parameter(torch.zeros(40, 4)), nn.Embedding(40, 4)
        self.decay = nn.Parameter(torch.zeros(4))
        generator = torch.Generator().manual_seed(5)
        self.register_buffer("wave", torch.randn(1, 4, 40, generator=generator))


class Sinusoids(Tables):
    def forward(self, x: Tensor) -> Tensor:
        rates = torch.exp(torch.arange(0, 4, 2) * -0.3)
        angle = torch.arange(x.shape[1]).unsqueeze(1) * rates
        return self.layer(x + torch.stack([angle.sin(), angle.cos()], -1).flatten(1))[0]


class Learned(Tables):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x + self.positions[: x.shape[1]])[0]


class ShortTable(Tables):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x + self.positions[24 : 24 + x.shape[1]])[0]


class EmbeddedLate(Tables):
    """Beside a stream that comes late, with rows of its own."""

    def forward(self, x: Tensor) -> Tensor:
        places = torch.arange(x.size(1))[None].expand(x.size(0), -1)
        return self.front(x.transpose(1, 2)).transpose(1, 2) + self.embedded(places)


class AfterAStride(Tables):
    def forward(self, x: Tensor) -> Tensor:
        y = self.strided(x.transpose(1, 2))
        return y + self.wave[:, :, : y.shape[-1]]


class FromOne(Tables):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[None, :, None].float()


class Joined(Tables):
    def forward(self, x: Tensor) -> Tensor:
        where = torch.arange(x.shape[1]).float().view(1, -1, 1).expand(x.shape[0], -1, 1)
        return self.layer(self.mix(torch.cat([x, where / 10], -1)))[0]


class OfTheWhole(Tables):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.linspace(0, 1, x.shape[1])[None, :, None]


@pytest.mark.parametrize(
    ("net", "longest"),
    [
        (Sinusoids, None), (Learned, 40), (ShortTable, 16), (EmbeddedLate, 40), (AfterAStride, 80),
        (FromOne, None), (Joined, None),
    ],
)  # fmt: skip
def test_a_table_of_positions_is_counted_by_each_row(net, longest):
    hoisted = hoist(drawn(net()), _INPUTS)
    assert "frames_seen" in [state.name for state in hoisted.found.states]
    assert hoisted.found.longest == longest
    assert longest is None or f"{longest} rows" in hoisted.found.how
    assert prove(hoisted, steps=60).error <= 1e-5


def test_rows_count_apart():
    network = drawn(Sinusoids())
    hoisted = hoist(network, _INPUTS)
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(2))
    state = hoisted.initial_state(2)
    for t in range(5):
        _, state = hoisted(x[:, t : t + 1], state)
    anew = hoisted.initial_state(2)
    for spec in hoisted.contract.step.states:
        rows = spec.axis("batch")
        state[spec.name].select(rows, 1).copy_(anew[spec.name].select(rows, 1))
    made = []
    for t in range(5, 9):
        outputs, state = hoisted(x[:, t : t + 1], state)
        made.append(outputs["y"])
    with torch.no_grad():
        expected = torch.stack([network(x[:1])[0, 5:], network(x[1:, 5:])[0]])
    assert torch.allclose(torch.cat(made, 1), expected, atol=1e-5)


class Loop(Tables):
    """A loop over time; what a turn does is the subclass's."""

    def turn(self, x: Tensor, h: Tensor, t: int, frames: int) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        h, made = x.new_zeros(x.shape[0], 4), []
        for t in range(x.shape[1]):
            y, h = self.turn(x[:, t], h, t, x.shape[1])
            made.append(y)
        return torch.stack(made, 1)


class RunningMean(Loop):
    def turn(self, x, h, t, frames):
        h = h + (x - h) / (t + 1)
        return h, h


class CountGivenOut(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x + 0.01 * t, h)
        return h * (2 * t + 1) * torch.sigmoid(self.decay) ** t, h


class TableAt(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x + self.positions[t] + self.wave[:, :, t], h)
        return h, h


class EmbeddedAt(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x + self.embedded(torch.tensor(t)), h)
        return h + self.embedded(torch.full((x.shape[0],), t)), h


class ArangeAt(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x + torch.sin(torch.arange(frames)[t] * 0.3), h)
        return h, h


class CountJoined(Loop):
    def turn(self, x, h, t, frames):
        count = x.new_full((x.shape[0], 1), float(t))
        h = self.cell(self.mix(torch.cat([x, count * 0.1], 1)), h)
        return h, h


class NoneAtFirst(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x) if t == 0 else self.cell(x, h)
        return h, h


class AverageFromTheFirst(Loop):
    def turn(self, x, h, t, frames):
        h = x if t == 0 else 0.9 * h + 0.1 * x
        return (-h if t == 0 else h * h), h


class FirstAndCount(Loop):
    def turn(self, x, h, t, frames):
        h = x if t == 0 else h + x / (t + 3)
        return h + self.positions[t], h


class LateFirst(Loop):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.front(x.transpose(1, 2)).transpose(1, 2))

    turn = FirstAndCount.turn


class LastOne(Tables):
    def forward(self, x: Tensor) -> Tensor:
        h = x.new_zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            h = self.cell(x[:, t] + self.positions[t], h)
        return h


_LOOPS = [
    RunningMean, CountGivenOut, TableAt, EmbeddedAt, ArangeAt, CountJoined, NoneAtFirst,
    AverageFromTheFirst, FirstAndCount, LateFirst, LastOne,
]  # fmt: skip


@pytest.mark.parametrize("net", _LOOPS)
def test_a_loops_variable_is_a_state(net):
    hoisted = hoist(drawn(net()), _INPUTS)
    assert prove(hoisted, steps=36).error <= 1e-5


class Geometric(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x * 0.9**t, h)
        return h, h


class EveryThird(Loop):
    def turn(self, x, h, t, frames):
        h = self.cell(x, h) if t % 3 == 0 else h + x
        return h, h


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (OfTheWhole, "an element hangs on more than its own position"),
        (Geometric, "does not grow by the same amount every turn: 0.59"),
        (EveryThird, "the turns of a loop are not alike"),
    ],
)
def test_what_does_not_count_is_refused(net, said):
    with pytest.raises(ContractError, match=said):
        hoist(drawn(net()), _INPUTS)


@pytest.mark.parametrize("net", [Learned, EmbeddedAt, FirstAndCount])
def test_counts_in_exported_files(net, tmp_path):
    network = drawn(net())
    bundle = export_module(
        network, _INPUTS, tmp_path / "net.edgernn", to=["onnx", "torchscript"], steps=8
    )
    x = np.random.default_rng(1).standard_normal((2, 30, 4), dtype=np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(x)).numpy()
    for artifact in bundle.manifest.artifacts:
        session = open_session(bundle, artifact.path)
        state, made = session.initial_state(batch=2), []
        for t in range(30):
            outputs, state = session.step({"x": x[:, t : t + 1]}, state)
            made.append(outputs["y"])
        assert np.abs(np.concatenate(made, 1) - expected).max() <= 1e-4, artifact.path
