"""Networks in the forms of public ones: speech, amplifiers, memory, missing values, captions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import prove
from tests.hoisting.drawn import drawn


class Amplifier(nn.Module):
    """A knob that stays where it is, laid beside every sample."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(2, 8, batch_first=True), nn.Linear(8, 1)

    def forward(self, audio: Tensor, knob: Tensor) -> Tensor:
        beside = knob[:, None, :].expand(-1, audio.shape[1], -1)
        return self.head(self.layer(torch.cat([audio, beside], -1))[0]) + audio


class Dilated(nn.Module):
    """Gated dilated convolutions without padding, their skips cut to one length."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(1, 4, 1), nn.Conv1d(12, 1, 1)
        self.gated = nn.ModuleList([nn.Conv1d(4, 8, 3, dilation=2**k) for k in range(3)])
        self.mixed = nn.ModuleList([nn.Conv1d(4, 4, 1) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        x, skips = self.first(x), []
        for gated, mixed in zip(self.gated, self.mixed, strict=True):
            filtered, gate = gated(x).chunk(2, 1)
            y = torch.tanh(filtered) * torch.sigmoid(gate)
            skips.append(y)
            x = mixed(y) + x[:, :, -y.shape[2] :]
        length = skips[-1].shape[2]
        return self.last(torch.cat([skip[:, :, -length:] for skip in skips], 1))


class Speech(nn.Module):
    """A strided spectrogram front, batch norm over rows and frames in one axis, look-ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.front = nn.Conv2d(1, 4, (5, 3), stride=(2, 1), padding=(2, 1))
        self.norm, self.between = nn.BatchNorm2d(4), nn.BatchNorm1d(8)
        self.first, self.second = nn.GRU(16, 8), nn.GRU(8, 8)
        self.ahead, self.head = nn.Conv1d(8, 8, 4, groups=8, bias=False), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.hardtanh(self.norm(self.front(x[:, None])), 0, 20)
        rows, channels, frames, bands = y.shape
        y, _ = self.first(y.permute(2, 0, 1, 3).reshape(frames, rows, channels * bands))
        y = self.between(y.view(frames * rows, -1)).view(frames, rows, -1)
        y = self.second(y)[0].permute(1, 2, 0)
        y = functional.hardtanh(self.ahead(functional.pad(y, (0, 3))), 0, 20)
        return torch.log_softmax(self.head(y.permute(0, 2, 1)), -1)


class Memory(nn.Module):
    """A controller that reads and writes a memory matrix, learned at the start; time first."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.key, self.strength = nn.LSTMCell(7, 6), nn.Linear(6, 4), nn.Linear(6, 1)
        self.erase, self.add, self.head = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(10, 2)
        self.start = nn.Parameter(torch.zeros(5, 4))

    def forward(self, x: Tensor) -> Tensor:
        rows, made = x.size(1), []
        memory = self.start[None].repeat(rows, 1, 1)
        h, c, read = x.new_zeros(rows, 6), x.new_zeros(rows, 6), x.new_zeros(rows, 4)
        for frame in x:
            h, c = self.cell(torch.cat([frame, read], 1), (h, c))
            near = functional.cosine_similarity(memory, self.key(h)[:, None], dim=-1)
            weights = torch.softmax(functional.softplus(self.strength(h)) * near, 1)[..., None]
            read = (weights * memory).sum(1)
            kept = memory * (1 - weights * torch.sigmoid(self.erase(h))[:, None])
            memory = kept + weights * self.add(h)[:, None]
            made.append(self.head(torch.cat([h, read], 1)))
        return torch.stack(made)


class Missing(nn.Module):
    """Values that are missing decay from the last one seen (GRU-D, Che et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(6, 4), nn.Linear(4, 1)
        self.fade, self.forget = nn.Linear(3, 3), nn.Linear(3, 4)

    def forward(self, x: Tensor, mask: Tensor, since: Tensor) -> Tensor:
        h, last, made = torch.zeros(x.size(0), 4), torch.zeros(x.size(0), 3), []
        for t in range(x.shape[1]):
            last = torch.where(mask[:, t] > 0, x[:, t], last)
            faded = torch.exp(-torch.relu(self.fade(since[:, t]))) * last
            value = mask[:, t] * x[:, t] + (1 - mask[:, t]) * faded
            h = h * torch.exp(-torch.relu(self.forget(since[:, t])))
            h = self.cell(torch.cat([value, mask[:, t]], 1), h)
            made.append(torch.sigmoid(self.head(h)))
        return torch.stack(made, 1)


class Captions(nn.Module):
    """A picture once, words step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.begin, self.words = nn.Linear(4, 6), nn.Embedding(9, 5)
        self.cell, self.head = nn.LSTMCell(5, 6), nn.Linear(6, 9)

    def forward(self, image: Tensor, ids: Tensor) -> Tensor:
        h = torch.tanh(self.begin(self.look(image)))
        c, made = torch.zeros_like(h), []
        for t in range(ids.size(1)):
            h, c = self.cell(self.words(ids[:, t]), (h, c))
            made.append(self.head(h))
        return torch.stack(made, 1)


def _inputs(**axes: str) -> dict[str, str]:
    return axes


_FRAMES = "float32[batch, time, 3]"


@pytest.mark.parametrize(
    ("net", "inputs", "latency", "encodes"),
    [
        (Amplifier, _inputs(audio="float32[batch, time, 1]", knob="float32[batch, 1]"), 0, True),
        (Dilated, _inputs(x="float32[batch, 1, time]"), 0, False),
        (Speech, _inputs(x="float32[batch, time, 4]"), 8, False),
        (Memory, _inputs(x="float32[time, batch, 3]"), 0, False),
        (Missing, _inputs(x=_FRAMES, mask=_FRAMES, since=_FRAMES), 0, False),
        (
            Captions,
            _inputs(image="float32[batch, 3, 9, 9]", ids="int64[batch, time] below 9"),
            0,
            True,
        ),
    ],
)
def test_networks_as_they_are_found(net, inputs, latency, encodes):
    hoisted = hoist(drawn(net()), inputs)
    assert hoisted.contract.latency_frames == latency
    assert (hoisted.contract.encode is not None) == encodes
    assert prove(hoisted, steps=48).error <= 1e-5
