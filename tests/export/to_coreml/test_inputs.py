"""What a Core ML file takes: integers of any kind as int32, pictures alone as pixel buffers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn.contract import TensorSpec
from edgernn.contract.build import build_contract
from edgernn.export import export_step
from edgernn.export.to_coreml.inputs import input_dtype
from edgernn.parity.verify import verify_bundle

SEEN = ("batch", "height", "width", "channels")


@pytest.mark.parametrize(
    ("dtype", "axes", "taken"),
    [
        ("uint8", SEEN, "picture"),
        ("uint8", ("batch", "channels", "height", "width"), "int32"),  # no buffer lies so
        ("uint8", ("batch", "time"), "int32"),
        ("int64", ("batch",), "int32"),
        ("int8", ("batch",), "int32"),
        ("float32", SEEN, "float32"),
    ],
)
def test_the_dtype_of_an_input(dtype: str, axes: tuple[str, ...], taken: str) -> None:
    spec = {"name": "x", "role": "input", "dtype": dtype, "axes": axes}
    assert input_dtype(TensorSpec.model_validate(spec)) == taken


class Codes(nn.Module):
    """Reads bytes that are no picture: a code, and two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.cell, self.head = nn.Embedding(256, 4), nn.GRUCell(6, 5), nn.Linear(5, 3)

    def forward(self, code: Tensor, level: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(torch.cat([self.table(code.long()), level.float() / 255], 1), h)  # [B, 5]
        return self.head(h), h


def test_bytes_that_are_no_picture_go_the_whole_way(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = build_contract(
        inputs={"code": "uint8[batch] below codes=256", "level": "uint8[batch, two=2]"},
        states={"h": "float32[batch, hidden=5]"},
        outputs={"y": "float32[batch, out=3]"},
    )
    export_step(Codes(), own, tmp_path / "b", to="coreml", steps=4)
    report = verify_bundle(tmp_path / "b", steps=8)
    assert report.passed
    assert len(report.artifacts) > 1


class Gain(nn.Module):
    """A state that no step changes comes out as the input that it is."""

    def forward(self, x: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        return gain * x, gain


def test_a_state_that_comes_out_as_it_came_goes_the_whole_way(tmp_path: Path) -> None:
    own = build_contract(
        inputs={"x": "float32[batch, w=3]"},
        states={"gain": "float32[batch, w]"},
        outputs={"y": "float32[batch, w]"},
    )
    export_step(Gain(), own, tmp_path / "b", to="coreml", steps=4)
    report = verify_bundle(tmp_path / "b", steps=8)
    assert report.passed
