"""A module of somebody else's: what breaks its contract is named before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.contract import Contract
from edgernn.contract.build import build_contract
from edgernn.errors import ContractError
from edgernn.export import export_step


class Halved(nn.Module):
    """Arithmetic alone: it has no parameters."""

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = h * 0.5 + x
        return torch.tanh(h), h


class Drawing(nn.Module):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x + h, h * 0.5 + torch.rand_like(h)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = torch.zeros(1)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        self.count = self.count + 1
        return x + h + self.count, h * 0.5


def contract(**starts: str) -> Contract:
    return build_contract(
        inputs={"x": "float32[batch, w=3]"},
        states={"h": "float32[batch, w]"},
        outputs={"y": "float32[batch, w]"},
        initial_state=starts,
    )


def test_a_step_without_parameters_is_exported(tmp_path: Path) -> None:
    export_step(Halved(), contract(), tmp_path / "b", steps=8)
    assert verify_bundle(tmp_path / "b", steps=8).passed


@pytest.mark.parametrize("module", [Drawing(), Counting()], ids=["draws", "keeps a count"])
def test_a_step_that_does_more_than_compute_is_refused(module: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ContractError):
        export_step(module, contract(), tmp_path / "b", steps=8)
    assert not (tmp_path / "b").exists()


def test_a_module_that_takes_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"step does not run on \['x', 'h'\].*forward"):
        export_step(nn.Linear(3, 3), contract(), tmp_path / "b")


def test_a_module_of_one_step_a_call_is_told_to_say_so(tmp_path: Path) -> None:
    class One(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.tanh(x.squeeze(1) + h)
            return h.unsqueeze(1), h

    known = build_contract(
        inputs={"x": "float32[batch, time, w=3]"},
        states={"h": "float32[batch, w]"},
        outputs={"y": "float32[batch, time, w]"},
    )
    with pytest.raises(ContractError, match=r"takes one step a call, and not 3.*time=1"):
        export_step(One(), known, tmp_path / "b")


def test_a_first_value_of_another_shape_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"first value of h is float32 \[2, 7\], expected"):
        export_step(
            Halved(), contract(h="stored"), tmp_path / "b", first_state={"h": torch.zeros(2, 7)}
        )
