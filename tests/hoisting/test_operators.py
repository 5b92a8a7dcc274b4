"""Operators over time, a row each: stepped in chunks as the network itself runs, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgernn.errors import ContractError
from edgernn.export import export_module
from edgernn.hoisting.hoisted import hoist
from edgernn.hoisting.proof import _difference, chained, prove
from tests.hoisting.drawn import drawn

_FRAMES, _IDS = {"x": "float32[batch, time, 4]"}, {"x": "int64[batch, time] below 9"}


class Of(nn.Module):
    """What a function makes of frames and layers."""

    def __init__(self, make, *layers: nn.Module) -> None:
        super().__init__()
        self.make, self.layers = make, nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.make(x, *self.layers)


class Along(Of):
    """The same with time last."""

    def forward(self, x: Tensor) -> Tensor:
        return self.make(x.transpose(1, 2), *self.layers).transpose(1, 2)


def _left(x: Tensor, count: int) -> Tensor:
    return functional.pad(x, (count, 0))


def _attends_to_a_window(x: Tensor, layer: nn.Module) -> Tensor:
    keys = functional.pad(x, (0, 0, 4, 0)).unfold(1, 5, 1).transpose(2, 3)  # [B, T, 5, D]
    query = layer(x)[:, :, None]  # [B, T, 1, D]
    return functional.scaled_dot_product_attention(query, keys, keys)[:, :, 0]


def _rolled_gate(x: Tensor) -> Tensor:
    return x * torch.sigmoid(torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1))


def _grouped(kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Conv1d:
    return nn.Conv1d(4, 4, kernel, stride=stride, dilation=dilation, groups=groups)


def _mean_of_newest(x: Tensor) -> Tensor:
    return functional.pad(x, (0, 0, 19, 0))[:, -20:].mean(1)


STEPPED = {
    "depthwise": Along(lambda x, c: c(_left(x, 4)), _grouped(5, groups=4)),
    "grouped, even, dilated": Along(lambda x, c: c(_left(x, 9)), _grouped(4, 1, 3, 2)),
    "even kernel, padded on both sides": Along(
        lambda x, c: c(x), nn.Conv1d(4, 4, 4, padding=2)
    ),
    "stride and dilation": Along(lambda x, c: c(_left(x, 6)), _grouped(3, 2, 3)),
    "stride longer than the kernel": Along(lambda x, c: c(x), _grouped(2, 3)),
    "stride of five, shapes told": Along(
        lambda x, c: c(_left(x, 2)).transpose(1, 2).reshape(x.shape[0], -1, 2, 2).flatten(2)
        .transpose(1, 2).cumsum(2),
        _grouped(7, 5),
    ),
    "stride of three, sizes told": Along(
        lambda x, c: (y := c(x)).reshape(y.shape[0], 2, 2, y.shape[2]).sum(1), _grouped(4, 3)
    ),
    "stride, then stride": Along(
        lambda x, a, b: b(a(_left(x, 2))), _grouped(4, 2), _grouped(3, 3)
    ),
    "same, even": Along(lambda x, c: c(x), nn.Conv1d(4, 4, 4, padding="same")),
    "replicate": Along(
        lambda x, c: c(x), nn.Conv1d(4, 4, 3, padding=1, padding_mode="replicate")
    ),
    "replicate in front": Along(
        lambda x, c: c(functional.pad(x, (3, 0), mode="replicate")), _grouped(4)
    ),
    "transposed, cut": Along(
        lambda x, c: c(x)[..., : 2 * x.shape[-1]], nn.ConvTranspose1d(4, 3, 4, stride=2)
    ),
    "transposed, then back": Along(
        lambda x, c, d: d(c(x)), nn.ConvTranspose1d(4, 3, 2, stride=2), nn.Conv1d(3, 4, 2, stride=2)
    ),
    "transposed without a stride": Along(
        lambda x, c: c(x)[..., :-2], nn.ConvTranspose1d(4, 3, 3)
    ),
    "interpolated, then pooled": Along(
        lambda x, p: p(functional.interpolate(x, scale_factor=2)), nn.AvgPool1d(2)
    ),
    "repeated, then strided": Along(
        lambda x, c: c(_left(x.repeat_interleave(2, -1), 1)), _grouped(3, 2)
    ),
    "repeated": Along(lambda x: x.repeat_interleave(3, -1).cumsum(-1)),
    "average pool, padding left out": Along(
        lambda x, p: p(x), nn.AvgPool1d(3, 1, padding=1, count_include_pad=False)
    ),
    "average pool": Along(lambda x, p: p(x), nn.AvgPool1d(4, 2, padding=1)),
    "largest, dilated": Along(lambda x, p: p(_left(x, 4)), nn.MaxPool1d(3, 1, dilation=2)),
    "largest, padded": Along(lambda x, p: p(x), nn.MaxPool1d(3, 1, padding=1)),
    "transposed, kernel shorter than its stride": Along(
        lambda x, c: c(x), nn.ConvTranspose1d(4, 3, 2, stride=3, output_padding=1)
    ),
    "ceil_mode": Along(lambda x, p: p(x), nn.MaxPool1d(3, 3, ceil_mode=True)),
    "group norm of each frame": Of(lambda x, n: n(x.flatten(0, 1)).view_as(x), nn.GroupNorm(2, 4)),
    "batch norm": Along(lambda x, n: n(x), nn.BatchNorm1d(4)),
    "framed": Of(
        lambda x, c: c(functional.pad(x, (0, 0, 3, 0)).unfold(1, 6, 3).flatten(2)),
        nn.Linear(24, 4),
    ),
    "spectrum of frames": Of(
        lambda x: torch.fft.rfft(
            x.unfold(1, 8, 4) * torch.hann_window(8), dim=-1
        ).abs().flatten(2)
    ),
    "largest so far": Of(lambda x: x.cummax(1)[0]),
    "smallest so far": Of(lambda x: x.cummin(1).values * 2),
    "product so far": Of(lambda x: torch.sigmoid(x).cumprod(1)),
    "logarithm of sums so far": Of(lambda x: x.logcumsumexp(1)),
    "difference to the frame before": Of(
        lambda x: x.diff(dim=1, prepend=torch.zeros_like(x[:, :1]))
    ),
    "difference": Of(lambda x: x.diff(dim=1)),
    "frame before": Of(_rolled_gate),
    "subtracted slices": Of(lambda x: x[:, 2:] - x[:, :-2]),
    "window of the newest": Of(_mean_of_newest),
    "attention in a window": Of(_attends_to_a_window, nn.Linear(4, 4)),
    "late, then several a step": Along(
        lambda x, c, u, d: d(u(c(x))),
        nn.Conv1d(4, 4, 3, padding=1), nn.ConvTranspose1d(4, 4, 2, stride=2),
        nn.Conv1d(4, 4, 2, stride=2),
    ),
    "a layer after late frames, two a step": Of(
        lambda x, c, g, p: p(g(c(x.transpose(1, 2)).transpose(1, 2))[0].transpose(1, 2))
        .transpose(1, 2),
        nn.Sequential(nn.Conv1d(4, 4, 3, padding=1), nn.ConvTranspose1d(4, 4, 2, stride=2)),
        nn.LSTM(4, 3, batch_first=True), nn.MaxPool1d(2),
    ),
    "largest of all": Of(lambda x: x.max(1)[0]),
    "mean of all": Of(lambda x, c: c(x).mean(1), nn.Linear(4, 4)),
}  # fmt: skip

REFUSED = {
    "instance norm": (Along(lambda x, n: n(x), nn.InstanceNorm1d(4)), "normalisation along time"),
    "group norm over time": (Along(lambda x, n: n(x), nn.GroupNorm(2, 4)), "along time"),
    "softmax over time": (Of(lambda x: torch.softmax(x, 1)), "softmax"),
    "flipped": (Of(lambda x: x.flip(1)), "needs the future"),
    "rolled": (Of(lambda x: x.roll(1, 1)), "rolls the sequence round"),
    "attention over all": (
        Of(lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True)),
        "needs every frame of the sequence at once",
    ),
    "attention with a mask": (
        Of(
            lambda x: torch.softmax(
                (x @ x.mT).masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1) > 0, -1e9), -1
            ) @ x
        ),
        "every frame of the sequence at once|as long as the sequence",
    ),
    "two streams one after the other": (
        Of(lambda x: torch.cat([x, 2 * x], 1)), "one sequence after the other"
    ),
    "reflect": (
        Along(lambda x, c: c(x), nn.Conv1d(4, 4, 3, padding=1, padding_mode="reflect")),
        "pads time with frames of the sequence itself",
    ),
    "newest, fewer at first": (Of(lambda x: x[:, -20:].mean(1)), "put 19 frames of zeros"),
    "first frames": (Of(lambda x: x[:, :3].mean(1)), "the past for every later step"),
    "spread of all": (
        Of(lambda x: x[:, :, None].expand(-1, -1, 2, -1).std(1)),
        "every frame of the sequence at once",
    ),
    "sorted": (Of(lambda x: x.sort(1)[0]), "every frame of the sequence at once"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'", "ignore:std..:")
@pytest.mark.parametrize("row", STEPPED)
def test_stepped(row):
    hoisted = hoist(drawn(STEPPED[row]), _FRAMES)
    assert prove(hoisted, steps=48).error <= 1e-5
    if hoisted.found.open_time and hoisted.contract.step.has_time:
        _check_chunks(hoisted)


def _check_chunks(hoisted):
    inputs = hoisted.network.inputs
    x = inputs.draw(inputs.measured(batch=2, time=42 * hoisted.contract.step_frames))[0]
    whole = chained(hoisted, [{"x": x}], 42)[0]
    for chunk in (1, 3, 7):
        made = chained(hoisted, [{"x": x}], chunk)[0]
        assert all(_difference(a, b) <= 1e-5 for a, b in zip(made, whole, strict=True)), chunk


@pytest.mark.filterwarnings("ignore:std..:")
@pytest.mark.parametrize("row", REFUSED)
def test_refused(row):
    net, said = REFUSED[row]
    with pytest.raises(ContractError, match=said):
        hoist(drawn(net), _FRAMES)


def test_ids_are_embedded():
    net = Of(lambda x, e, g: g(e(x))[0], nn.Embedding(9, 4), nn.GRU(4, 3, batch_first=True))
    assert prove(hoist(drawn(net), _IDS), steps=48).error <= 1e-5


@pytest.mark.parametrize(
    "row",
    [
        "largest so far", "logarithm of sums so far", "largest, padded", "largest of all",
        "repeated", "repeated, then strided", "replicate", "transposed, cut",
        "a layer after late frames, two a step", "average pool, padding left out",
    ],
)  # fmt: skip
def test_exported(row, tmp_path):
    formats = ["onnx", "torchscript"]
    bundle = export_module(drawn(STEPPED[row]), _FRAMES, tmp_path / "net", to=formats, steps=8)
    assert len(bundle.manifest.artifacts) == 2
