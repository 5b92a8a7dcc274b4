"""Networks over whole sequences, taken apart along time: layers, convolutions, windows, sums."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgernn.errors import ContractError
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn

_FRAMES = {"x": "float32[batch, time, 3]"}


class Pick(nn.Module):
    def forward(self, pair: tuple[Tensor, Tensor]) -> Tensor:
        return pair[0]


def in_sequential() -> nn.Module:
    """Recurrent layers whose state nothing returns, one with a projection; time first."""
    return nn.Sequential(
        nn.Linear(3, 6), nn.GRU(6, 8), Pick(), nn.LayerNorm(8), nn.LSTM(8, 7, proj_size=3), Pick()
    )


class CausalConvolutions(nn.Module):
    """Padded on both sides and cut again, padded on the left, and a residual past both."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(3, 4, 3, padding=4, dilation=2)
        self.second, self.norm = nn.Conv1d(4, 3, 5), nn.BatchNorm1d(3)
        self.past = nn.Conv1d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        y = torch.relu(self.first(x)[:, :, :-4])
        y = self.norm(self.second(functional.pad(y, (4, 0))))
        return (y + self.past(x)).transpose(1, 2)


class LooksAhead(nn.Module):
    """Centred convolutions in front of a recurrent layer: late by three frames."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv1d(3, 4, 3, padding=1), nn.Conv1d(4, 4, 5, padding=2)
        self.layer = nn.GRU(4, 5, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.far(torch.relu(self.near(x.transpose(1, 2)))).transpose(1, 2)
        return self.layer(y + 0.1 * functional.pad(x, (0, 1)))[0]


class Strides(nn.Module):
    """A stride and pooling: four frames a step; attention over the last four results; a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.pool = nn.Conv1d(3, 4, 4, stride=2, padding=1), nn.MaxPool1d(2)
        self.layer, self.query = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(torch.relu(self.front(x.transpose(1, 2)))).transpose(1, 2)
        y = self.layer(y)[0]
        window = functional.pad(y, (0, 0, 3, 0)).unfold(1, 4, 1)  # [B, T, H, 4]
        weights = torch.softmax((self.query(y)[..., None] * window).sum(2), -1)
        pooled = (window * weights[:, :, None]).sum(-1).reshape(-1, 5)
        return pooled.view(x.shape[0], -1, 5).cumsum(1)


class MeanOverAll(nn.Module):
    """A classifier that averages over everything so far."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.RNN(3, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0].mean(1))


class OverFrequency(nn.Module):
    """A bidirectional layer over frequency, rows and time in one axis; another over time."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = nn.GRU(1, 5, batch_first=True, bidirectional=True)
        self.frames = nn.GRU(10, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        rows, frames, bands = x.shape
        y, _ = self.bands(x.reshape(rows * frames, bands, 1))
        return self.frames(y.mean(1).view(rows, frames, 10))[0]


class Spectrogram(nn.Module):
    """A convolution over time and frequency, padded on the left of time."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv2d(1, 3, (3, 3), padding=(0, 1), stride=(1, 2))
        self.layer = nn.GRU(6, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.front(functional.pad(x, (0, 0, 2, 0))[:, None])  # [B, C, T, F]
        return torch.sigmoid(self.layer(y.permute(0, 2, 1, 3).flatten(2))[0])


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    ("net", "inputs", "states", "latency", "frames", "open_time"),
    [
        (
            in_sequential, {"input": "float32[time, batch, 3]"},
            "layer_1_h layer_4_h layer_4_c", 0, 1, True,
        ),
        (CausalConvolutions, _FRAMES, "first_past second_past", 0, 1, True),
        (
            LooksAhead, _FRAMES, "near_past frames_seen far_past input_delay layer_h", 3, 1, False,
        ),
        (
            Strides, _FRAMES,
            "front_past front_past_2 layer_h layer_c frames_seen layer_past layer_running "
            "layer_running_rest",
            4, 4, False,
        ),
        (MeanOverAll, _FRAMES, "layer_h layer_mean layer_mean_rest frames_seen", 0, 1, False),
        (OverFrequency, _FRAMES, "frames_h", 0, 1, True),
        (Spectrogram, {"x": "float32[batch, time, 4]"}, "front_past layer_h", 0, 1, True),
    ],
)  # fmt: skip
def test_a_sequence_is_taken_apart(net, inputs, states, latency, frames, open_time):
    hoisted = hoist(drawn(net()), inputs)
    found = [state.name for state in hoisted.found.states]
    assert found == states.split()
    assert hoisted.contract.latency_frames == latency
    assert hoisted.contract.step_frames == frames
    assert hoisted.found.open_time == open_time
    assert prove(hoisted, steps=64).error <= 1e-5


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class BothDirections(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 2, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else x.cumsum(1)


class Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1) + torch.rand_like(x)


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (Attends, r"self.attention\(x, x, x\)\[0\]\) needs every frame of the sequence"),
        (BothDirections, "layer at .* is bidirectional over time: it needs the future"),
        (Branches, r"test_streaming.py:\d+ turns a value"),
        (Noise, "draws random numbers at every call, in eval mode too"),
    ],
)
def test_what_cannot_be_stepped_is_refused_by_name(net, said):
    with pytest.raises(ContractError, match=said):
        hoist(net().eval(), {"x": "float32[batch, time, 4]"})
