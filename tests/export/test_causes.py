"""A module that does more than compute is refused with the cause, and the line where it stands."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgernn.contract import Contract
from edgernn.contract.build import build_contract
from edgernn.errors import ContractError
from edgernn.export import export_step
from edgernn.export.causes import cause_of, refuse_more_than_computing
from edgernn.models.module import ModuleModel


class Branching(nn.Module):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        if x.sum() > 0:
            return x + h, h * 0.5
        return x - h, h * 0.25


class Reading(nn.Module):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x * float(h.abs().max()), h * 0.5


class Drawing(nn.Module):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x + h, h * 0.5 + torch.rand_like(h)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return x + h + self.calls, h * 0.5


class Remembering(nn.Module):
    last: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1))

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        self.last += 1
        return x + h * self.last, h * 0.5


class Late(nn.Module):
    """Counts, and goes another way after many calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return (x + h if self.calls < 40 else x - h), h * 0.5


class BySize(nn.Module):
    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[0] > 1:
            return x + h, h * 0.5
        return x - h, h * 0.5


class Careful(nn.Module):
    """Reads, and never goes another way; keeps what it made for whoever looks."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(1))
        self.seen: Tensor | None = None

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        assert torch.isfinite(x).all()
        self.seen = x
        return x * int(self.scale) + h, h * 0.5


def contract() -> Contract:
    return build_contract(
        inputs={"x": "float32[batch, w=3]"},
        states={"h": "float32[batch, w]"},
        outputs={"y": "float32[batch, w]"},
    )


def model(step: nn.Module) -> ModuleModel:
    return ModuleModel(step, contract()).eval()


CAUSES = {
    "branches": (Branching(), r"at test_causes\.py:\d+ \(if x\.sum\(\) > 0:\), where a trace goes"),
    "reads": (Reading(), r"at test_causes\.py:\d+ \(return x \* float\(h\.abs\(\)\.max\(\)\)"),
    "draws": (Drawing(), "it draws random numbers"),
    "counts": (Counting(), "it changes calls of the module, which the contract does not have"),
    "buffers": (Remembering(), "it changes last of the module"),
}


@pytest.mark.parametrize(("step", "named"), CAUSES.values(), ids=CAUSES)
def test_what_a_trace_would_lose_is_named(step: nn.Module, named: str, tmp_path: Path) -> None:
    before = copy.deepcopy(vars(step))
    with pytest.raises(ContractError, match=named):
        export_step(step, contract(), tmp_path / "b", steps=4)
    assert not (tmp_path / "b").exists()
    assert {**vars(step), "_buffers": None} == {**before, "_buffers": None}


@pytest.mark.parametrize(
    ("step", "named"),
    [
        (BySize(), r"It may be that step goes by a size or a value at test_causes\.py:\d+ \(if x"),
        (Late(), "It may be that a call of step changes calls of the module"),
    ],
    ids=["by size", "late"],
)
def test_what_shows_only_in_the_files_is_told_beside_the_distance(
    step: nn.Module, named: str, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match=rf"from the reference in .*{named}"):
        export_step(step, contract(), tmp_path / "b", steps=64)


def test_what_is_read_and_never_differs_is_told(tmp_path: Path) -> None:
    heard: list[str] = []
    refuse_more_than_computing(model(Careful()), heard.append)
    assert len(heard) == 2
    assert "(assert torch.isfinite(x).all()); the files go the way it went here" in heard[0]
    export_step(Careful(), contract(), tmp_path / "b", steps=4)


def test_of_a_module_that_computes_there_is_nothing_to_say() -> None:
    heard: list[str] = []

    class Plain(nn.Module):
        def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
            return torch.where(x.sum() > 0, x, h), h * 0.5

    refuse_more_than_computing(model(Plain()), heard.append)
    assert (heard, cause_of(model(Plain()))) == ([], "")
