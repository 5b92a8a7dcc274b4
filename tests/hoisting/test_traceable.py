"""Sizes that a network reads of its inputs stay open in files that are traced."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgernn.export.module_bundle import export_module
from tests.hoisting.drawn import drawn

WIDTH = 4


class Around(nn.Module):
    """A leaky sum, and any function of it that keeps its shape."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = 0.5 * h + x
        return self.function(h), h


def zeros(rows: int) -> Tensor:
    return torch.zeros(rows, WIDTH)


@pytest.mark.parametrize(
    "function",
    [
        drawn(nn.GRUCell(WIDTH, WIDTH)),
        lambda h: torch.ones_like(h) * h,
        lambda h: torch.zeros_like(h).scatter(1, h.argmax(1, keepdim=True), 1.0),
        lambda h: h.gather(1, torch.arange(WIDTH).flip(0).expand(h.shape[0], WIDTH)),
        lambda h: torch.cat([h.new_full((h.shape[0], 2), 0.5), h], 1)[:, : h.shape[1]],
    ],
)
def test_batch_stays_open(function, tmp_path):
    bundle = export_module(
        Around(function),
        {"x": f"float32[batch, {WIDTH}]"},
        tmp_path / "net",
        state={"h": zeros},
        to=["onnx", "torchscript"],
        steps=8,
    )
    assert all(not artifact.narrowing.axes for artifact in bundle.manifest.artifacts)


def test_a_network_in_training_is_proved_in_evaluation_and_left_as_it_was(tmp_path):
    net = Around(nn.Dropout(0.5)).train()
    net.function.eval()
    inner = Around(nn.Sequential(net.function, nn.Dropout(0.5)))
    export_module(
        inner,
        {"x": f"float32[batch, {WIDTH}]"},
        tmp_path / "net",
        state={"h": zeros},
        to="torchscript",
        steps=8,
    )
    assert inner.training and not net.function.training
