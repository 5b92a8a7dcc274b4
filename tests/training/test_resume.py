"""The file that holds a whole run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgernn.errors import CheckpointError
from edgernn.training import resume


def _trained(seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.rand(4, 3)).square().mean().backward()
        optimizer.step()
    return model, optimizer


def test_everything_comes_back(tmp_path: Path) -> None:
    model, optimizer = _trained(0)
    progress = resume.Progress(step=3, seconds=1.5, best=0.25, options={"x": 1}, setup={"y": [2]})
    resume.save(
        tmp_path / "r",
        progress,
        model=model,
        optimizer=optimizer,
        extra={"task.at": torch.tensor(5)},
    )
    other, other_optimizer = _trained(1)
    found, tensors = resume.load(tmp_path / "r")
    resume.restore(other, other_optimizer, tensors)
    assert found == progress
    assert int(tensors["task.at"]) == 5
    for ours, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    before, after = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert before.keys() == after.keys()
    assert all(torch.equal(before[i][key], after[i][key]) for i in before for key in before[i])


def test_random_state_comes_back() -> None:
    cpu = torch.device("cpu")
    state = resume.random_state(cpu)
    expected = torch.rand(3)
    resume.set_random_state(state, cpu)
    assert torch.equal(torch.rand(3), expected)


def test_missing_damaged_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "r"
    with pytest.raises(CheckpointError, match="nothing to resume"):
        resume.load(path)
    model, optimizer = _trained(0)
    resume.save(path, resume.Progress(), model=model, optimizer=optimizer, extra={})
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CheckpointError, match="is damaged"):
        resume.load(path)
    import safetensors.torch

    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match="another version"):
        resume.load(path)
