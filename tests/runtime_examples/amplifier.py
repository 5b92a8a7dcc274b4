"""A network that takes frames of floats and reads no text, for tests: a step module, its
contract, and its bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from edgernn.bundle import Bundle
from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.export import export_step

WIDTH, HIDDEN, TAPS, CHANNELS = 5, 12, 4, 3


class Amplifier(nn.Module):
    """A delay line of the last frames before a gated cell; the delay line is a state, too."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, CHANNELS)
        self.cell = nn.Linear(TAPS * CHANNELS + HIDDEN, 2 * HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, frame: Tensor, h: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        newest = self.into(frame)  # [B, 1, C]
        memory = torch.cat((memory[:, 1:], newest), 1)  # [B, taps, C]
        z, n = self.cell(torch.cat((memory.flatten(1), h), 1)).chunk(2, 1)  # [B, H]
        n = torch.tanh(n)
        h = n + torch.sigmoid(z) * (h - n)  # [B, H]
        return self.head(h).unsqueeze(1), h, memory


def contract(**stored: str) -> Contract:
    def tensor(name: str, role: str, *axes: str) -> TensorSpec:
        return TensorSpec(name=name, role=role, dtype="float32", axes=axes)

    step = GraphSpec(
        name="step",
        inputs=(
            tensor("frame", "input", "batch", "time", "width"),
            tensor("h", "state", "batch", "hidden"),
            tensor("memory", "state", "batch", "taps", "channels_in"),
        ),
        outputs=(
            tensor("sample", "output", "batch", "time", "one"),
            tensor("h_next", "state", "batch", "hidden"),
            tensor("memory_next", "state", "batch", "taps", "channels_in"),
        ),
    )
    sizes = {"time": 1, "width": WIDTH, "hidden": HIDDEN, "taps": TAPS, "channels_in": CHANNELS}
    return Contract(graphs=(step,), sizes={**sizes, "one": 1}, initial_state=stored)


def make_amplifier() -> Amplifier:
    """Return the network, the same each time."""
    torch.manual_seed(3)
    return Amplifier().eval()


def export_amplifier(
    folder: Path,
    *,
    to: Sequence[str] = ("onnx", "torchscript"),
    precision: Sequence[str] = ("float32", "int8"),
) -> Bundle:
    """Export the network, the first value of one state stored."""
    return export_step(
        make_amplifier(),
        contract(h="stored"),
        folder,
        first_state={"h": torch.linspace(-0.4, 0.4, HIDDEN).unsqueeze(0)},
        to=list(to),
        precision=list(precision),
        steps=32,
    )
