"""Networks in the form of public ones: a speech enhancer with caches and recurrence over bands and
frames, a noise suppressor whose state holds h and c of two layers side by side.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from foreign_files import BATCH_TIME, export
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.export.foreign_file import export_onnx
from edgernn.hoisting.onnx.proof import prove
from edgernn.hoisting.onnx.step import Wishes, read_step

BANDS, UNITS = 9, 5


class Enhancer(nn.Module):
    """A mask on a complex spectrum: a convolution over past frames, a GRU both ways over the bands,
    two GRUs over the frames, whose states are written in place.
    """

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(2, 4, (3, 3), padding=(0, 1))
        self.bands = nn.GRU(4, 3, bidirectional=True, batch_first=True)
        self.first = nn.GRU(6, UNITS, batch_first=True)
        self.second = nn.GRU(UNITS, UNITS, batch_first=True)
        self.out = nn.Linear(UNITS, 2)

    def forward(self, mix: Tensor, past: Tensor, inter: Tensor) -> tuple[Tensor, ...]:
        frames = torch.cat([past, mix.permute(0, 3, 2, 1)], 2)  # [B, 2, 3, F]
        y = torch.relu(self.conv(frames)).permute(0, 2, 3, 1).reshape(-1, BANDS, 4)
        z = self.bands(y)[0].reshape(-1, 1, 6)
        left = inter.clone()
        z, left[0] = self.first(z, inter[0])
        z, left[1] = self.second(z, inter[1])
        mask = torch.tanh(self.out(z)).reshape(-1, BANDS, 1, 2)
        return mix * mask, frames[:, :, 1:], left


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (["mix", "conv_cache", "inter_cache"], ["enh", "conv_cache_out", "inter_cache_out"]),
        (["a", "b", "c"], ["d", "e", "f"]),
    ],
)
def test_a_speech_enhancer(tmp_path: Path, inputs: list[str], outputs: list[str]) -> None:
    examples = [
        torch.randn(1, BANDS, 1, 2), torch.zeros(1, 2, 2, BANDS), torch.zeros(2, 1, BANDS, UNITS)
    ]  # fmt: skip
    path = export(
        Enhancer(), examples, tmp_path / "f.onnx", inputs=inputs, outputs=outputs, axes={}
    )
    step = read_step(path)
    wanted = dict(zip(inputs[1:], outputs[1:], strict=True))
    assert {s.before: s.after for s in step.states} == wanted
    assert any(f"{inputs[0]} and {outputs[0]} have one shape" in w for w in step.warnings)
    assert prove(step).worst < 1e-5
    made = export_onnx(path, tmp_path / "b", to=["onnx", "torchscript"])
    report = verify_bundle(made, steps=24)
    assert report.passed and report.complete


class Suppressor(nn.Module):
    """Two LSTMs whose states lie side by side: ``[B, layers, units, h and c]``."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.LSTM(BANDS, UNITS, batch_first=True)
        self.second = nn.LSTM(UNITS, UNITS, batch_first=True)
        self.out = nn.Linear(UNITS, BANDS)

    def forward(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        h, c = (state[..., at].transpose(0, 1) for at in (0, 1))  # [L, B, U]
        y, (h0, c0) = self.first(x, (h[:1], c[:1]))
        y, (h1, c1) = self.second(y, (h[1:], c[1:]))
        left = torch.stack([torch.cat([h0, h1]), torch.cat([c0, c1])], -1).transpose(0, 1)
        return torch.sigmoid(self.out(y)), left


@pytest.mark.parametrize("fixed", [True, False])
def test_a_state_that_holds_h_and_c_side_by_side(tmp_path: Path, fixed: bool) -> None:
    rows, frames = (1, 1) if fixed else (2, 3)
    examples = [torch.randn(rows, frames, BANDS), torch.zeros(rows, 2, UNITS, 2)]
    axes = {} if fixed else {"input_2": BATCH_TIME, "input_3": {0: "batch"}}
    names = {"inputs": ["input_2", "input_3"], "outputs": ["activation_2", "stack_2"]}
    path = export(Suppressor(), examples, tmp_path / "f.onnx", **names, axes=axes)
    step = read_step(path)
    assert {s.before: s.after for s in step.states} == {"input_3": "stack_2"}
    assert prove(step).worst < 1e-5
    made = export_onnx(path, tmp_path / "b", precision=["float32", "int8"])
    assert verify_bundle(made, steps=24).passed


class Policy(nn.Module):
    """A recurrent policy that begins anew where an episode ended."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.out = nn.LSTM(BANDS, UNITS, 2), nn.Linear(UNITS, 3)

    def forward(self, obs: Tensor, done: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        kept = (1 - done)[None, :, None]
        y, (h, c) = self.layer(obs.unsqueeze(0), (h * kept, c * kept))
        return self.out(y.squeeze(0)), h, c


def policy_file(path: Path, *, fixed: bool) -> Path:
    rows = 1 if fixed else 2
    states = [torch.zeros(2, rows, UNITS) for _ in range(2)]
    axes = {"obs": {0: "batch"}, "done": {0: "batch"}, "one": {1: "batch"}, "two": {1: "batch"}}
    examples = [torch.randn(rows, BANDS), torch.zeros(rows), *states]
    outputs = ["actions", "three", "four"]
    return export(Policy(), examples, path, inputs=[*axes], outputs=outputs,
                  axes={} if fixed else axes)  # fmt: skip


def test_a_policy_with_resets_by_row(tmp_path: Path) -> None:
    path = policy_file(tmp_path / "f.onnx", fixed=False)
    step = read_step(path)
    assert {s.before: s.after for s in step.states} == {"one": "three", "two": "four"}
    assert prove(step).worst < 1e-5
    assert verify_bundle(export_onnx(path, tmp_path / "b"), steps=24).passed


def test_a_policy_for_one_row_is_opened_for_any_number(tmp_path: Path) -> None:
    path = policy_file(tmp_path / "f.onnx", fixed=True)
    step = read_step(path, Wishes(inputs=(f"obs: float32[batch, {BANDS}]",)))
    assert all("batch" in tensor.axes for tensor in step.contract.step.inputs)
    assert prove(step).worst < 1e-5
