"""Weights put into a network, or the difference told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from edgernn.errors import CheckpointError
from edgernn.hoisting.weights import load_weights
from tests.hoisting.drawn import drawn


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.out = nn.Embedding(4, 3), nn.Linear(3, 4)
        self.out.weight = self.inside.weight


def _state(seed: int = 5) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in drawn(Tied(), seed).state_dict().items()}


def _with(prefix: str) -> dict[str, Any]:
    return {prefix + name: tensor for name, tensor in _state().items()}


@pytest.mark.parametrize(
    "content",
    [
        _state(),
        {"epoch": 3, "state_dict": _state(), "optimizer": {"lr": 0.1}},
        {"model": _state(), "step": 7},
        {"model_state_dict": _with("module.")},
        {"state_dict": {"model": _with("model.")}},
        _with("module.model."),
        {name: tensor.half().float().double() for name, tensor in _state().items()},
    ],
)
def test_every_form_of_torchs_files_is_read(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "net.pt")
    net = drawn(Tied())
    load_weights(net, tmp_path / "net.pt")
    assert torch.allclose(net.out.weight, _state()["out.weight"], atol=1e-2)
    assert net.out.weight is net.inside.weight


def test_a_tied_tensor_may_be_stored_once(tmp_path: Path) -> None:
    safetensors.torch.save_file(
        {"inside.weight": torch.ones(4, 3), "out.bias": torch.ones(4)}, tmp_path / "n.safetensors"
    )
    net = Tied()
    load_weights(net, tmp_path / "n.safetensors")
    assert bool((net.out.weight == 1).all())


@pytest.mark.parametrize("new", [True, False])
def test_a_whole_module_gives_its_tensors_and_runs_nothing(tmp_path: Path, new: bool) -> None:
    saved = drawn(Tied())
    torch.save(saved, tmp_path / "net.pt", _use_new_zipfile_serialization=new)
    net = Tied()
    load_weights(net, tmp_path / "net.pt")
    assert all(torch.equal(a, saved.state_dict()[n]) for n, a in net.state_dict().items())


def test_what_does_not_fit_is_told_name_by_name(tmp_path: Path) -> None:
    found = _state()
    found["out.biases"] = found.pop("out.bias")
    found["inside.weight"] = torch.zeros(5, 3)
    torch.save(found, tmp_path / "net.pt")
    net = drawn(Tied())
    before = net.out.bias.clone()
    with pytest.raises(CheckpointError) as told:
        load_weights(net, tmp_path / "net.pt")
    assert str(told.value) == (
        f"{tmp_path / 'net.pt'} does not fit Tied: missing out.bias; unexpected out.biases (did "
        "you mean out.bias?); of another shape inside.weight [5, 3], the network's is [4, 3]"
    )
    assert torch.equal(net.out.bias, before)


def test_a_checkpoint_of_other_keys_is_told_by_them(tmp_path: Path) -> None:
    torch.save({"generator": _state(), "epoch": 3}, tmp_path / "net.pt")
    says = r"holds dict of 'generator', 'epoch', .* alone or as one of state_dict, model_state_dict"
    with pytest.raises(CheckpointError, match=says):
        load_weights(Tied(), tmp_path / "net.pt")
