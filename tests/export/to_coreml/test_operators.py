"""What torch's own cells are made of goes into Core ML and computes the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.contract.build import build_contract
from edgernn.export import export_step


class LSTMStep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(2, 6)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        h, c = self.cell(x, (h, c))
        return 2 * h, h, c


class GRUStep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(2, 6)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        h = self.cell(x, h)
        return 2 * h, h


@pytest.mark.parametrize("step", [LSTMStep, GRUStep], ids=["lstm", "gru"])
@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_a_cell_of_torchs_is_exported_and_verified(
    step: type[nn.Module], precision: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    states = ["h", "c"] if step is LSTMStep else ["h"]
    contract = build_contract(
        inputs={"x": "float32[batch, width=2]"},
        states=dict.fromkeys(states, "float32[batch, hidden=6]"),
        outputs={"y": "float32[batch, hidden]"},
    )
    export_step(step(), contract, tmp_path / "b", to="coreml", precision=precision, steps=8)
    assert verify_bundle(tmp_path / "b", steps=8).passed


def test_parts_of_another_size_and_an_axis_from_the_end(tmp_path: Path) -> None:
    class Cut(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, ...]:
            first, second, third = torch.unsafe_chunk(h, 3, -1)  # [B, 3], [B, 3], [B, 1]
            h = torch.cat((third, second, first), 1) * 0.5
            return h + x, h + 0.1 * x

    contract = build_contract(
        inputs={"x": "float32[batch, hidden=7]"},
        states={"h": "float32[batch, hidden]"},
        outputs={"y": "float32[batch, hidden]"},
    )
    export_step(Cut(), contract, tmp_path / "b", to="coreml", precision="float32", steps=8)
    assert verify_bundle(tmp_path / "b", steps=8).passed
