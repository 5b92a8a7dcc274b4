"""Integers of hoisted networks: every product is rounded, by its name, and what that loses is
measured on the sample.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgernn.export.module_bundle import export_module
from edgernn.formats.promise import NARROW
from tests.hoisting.drawn import drawn


class Listener(nn.Module):
    """A convolution, two recurrent layers, and a cell written with matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.front, self.apart = nn.Conv1d(5, 8, 3), nn.Conv1d(8, 8, 2, groups=8)
        self.lstm = nn.LSTM(8, 8, 2, batch_first=True, proj_size=6)
        self.mix = nn.Parameter(torch.zeros(6, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.front(nn.functional.pad(x.transpose(1, 2), (2, 0)))
        x = self.apart(nn.functional.pad(x, (1, 0))).transpose(1, 2)  # [B, T, 8]
        return torch.einsum("btk,kn->btn", self.lstm(torch.tanh(x))[0], self.mix)


ROLES = [("from_input", False), ("from_hidden", True), ("projection", False)]
NAMES = {
    "stepper.front": False,
    **{f"stepper.lstm.{layer}.{role}": own for layer in (0, 1) for role, own in ROLES},
    "stepper.mix": False,
}


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # torch, on some processors
@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_every_product_is_rounded_and_the_loss_is_told(precision: str, tmp_path: Path) -> None:
    sample = {"x": np.random.default_rng(0).normal(size=(1, 96, 5)).astype(np.float32)}
    bundle = export_module(
        drawn(Listener()),
        {"x": "float32[batch, time, 5]"},
        tmp_path / "net",
        sample=sample,
        precision=precision,
        steps=16,
    )
    (artifact,) = bundle.manifest.artifacts
    matrices = {w.name: w for w in artifact.weights if len(w.shape) > 1}
    assert {name: weight.recurrent for name, weight in matrices.items()} == NAMES
    own = [weight for weight in matrices.values() if weight.shape[0] > NARROW]
    assert {weight.dtype for weight in own} == {precision}
    assert artifact.output_loss is not None
    assert artifact.parity is not None and artifact.parity.worst > 0
