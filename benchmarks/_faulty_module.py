"""A tiny network of frames, made without training, that hears a source once: a delay line, so that
it answers late and forgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.contract import Contract
from edgernn.contract.build import build_contract
from edgernn.export import export_step

WIDTH, INNER, TAPS = 4, 12, 3  # of a frame, of the delay line, and frames of delay


class _Hears(nn.Module):
    """``encode``: keys of a source for every step, and its loudness, which is only read."""

    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, INNER)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        keys = torch.tanh(self.into(source))  # [B, N, inner]
        return keys, source.square().mean((1, 2))[:, None]  # [B, 1]


class _Answers(nn.Module):
    """The step: each frame comes out ``TAPS`` frames later, beside what the source says."""

    def __init__(self) -> None:
        super().__init__()
        self.into, self.head = nn.Linear(WIDTH, INNER), nn.Linear(INNER, WIDTH)

    def forward(self, x: Tensor, keys: Tensor, line: Tensor) -> tuple[Tensor, Tensor]:
        whole = torch.cat((line, torch.tanh(self.into(x))), 1)  # [B, taps + T, inner]
        answer = self.head(whole[:, : x.shape[1]] + keys.mean(1, keepdim=True))  # [B, T, w]
        return answer, whole[:, x.shape[1] :]


def _contract() -> Contract:
    return build_contract(
        inputs={"x": f"float32[batch, time, width={WIDTH}]"},
        states={"line": f"float32[batch, taps={TAPS}, inner={INNER}]"},
        outputs={"y": "float32[batch, time, width]"},
        contexts={"keys": "float32[batch, places, inner]"},
        encode_inputs={"source": "float32[batch, places, width]"},
        encode_outputs={"loudness": "float32[batch, one=1]"},
        latency_frames=TAPS,
    )


def export_module(
    folder: Path, *, to: tuple[str, ...], steps: int, more: Mapping[str, Any]
) -> None:
    """Export the network, with recorded inputs on which what it loses is measured."""
    torch.manual_seed(3)
    step, encode, random = _Answers().eval(), _Hears().eval(), np.random.default_rng(1)
    sample = {
        "x": random.normal(size=(1, 48, WIDTH)).astype(np.float32),
        "source": random.normal(size=(1, 6, WIDTH)).astype(np.float32),
    }
    export_step(step, _contract(), folder, encode=encode, sample=sample, to=to, steps=steps, **more)
