"""A network whose step takes several frames at once goes into every format and precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.numpy
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.contract import Contract
from edgernn.contract.build import build_contract
from edgernn.errors import UsageError
from edgernn.export import export_step

FRAMES, HIDDEN = 4, 16


class Framed(nn.Module):
    """Four frames at once to one state and four samples."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(2 * FRAMES, HIDDEN)
        self.back = nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, FRAMES)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.into(x.flatten(1)) + self.back(h))  # [B, H]
        return self.out(h).unsqueeze(2), h  # [B, frames, 1], [B, H]


def contract(time: int = FRAMES, step_frames: int = FRAMES) -> Contract:
    return build_contract(
        inputs={"x": f"float32[batch, time={time}, width=2]"},
        states={"h": f"float32[batch, hidden={HIDDEN}]"},
        outputs={"y": "float32[batch, time, one=1]"},
        step_frames=step_frames,
    )


@pytest.mark.parametrize(
    ("to", "precision", "fixed"),
    [
        ("onnx", "float32", {}),
        ("onnx", "int8", {"time": FRAMES}),
        ("torchscript", "float32", {}),
        ("coreml", "float32", {"batch": 1, "time": FRAMES}),
    ],
)
def test_every_format_takes_a_step_of_frames(
    to: str, precision: str, fixed: dict[str, int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    step, out = Framed().eval(), tmp_path / "b"
    bundle = export_step(step, contract(), out, to=to, precision=precision, steps=4)
    (artifact,) = bundle.manifest.artifacts
    assert artifact.narrowing.axes == fixed
    assert verify_bundle(out, steps=4).passed
    golden = safetensors.numpy.load_file(out / "golden.safetensors")
    assert golden["x"].shape == (32, 1, FRAMES, 2)
    assert golden["y"].shape == (32, 1, FRAMES, 1)


@pytest.mark.parametrize("step_frames", [1, 2, 3, 8])
def test_a_call_of_one_size_is_one_step(step_frames: int) -> None:
    with pytest.raises(
        (ValidationError, UsageError),
        match=f"time is 4, and a step takes {step_frames}.*give step_frames 4, or leave time open",
    ):
        contract(step_frames=step_frames)
