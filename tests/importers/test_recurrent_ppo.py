"""RecurrentPPO's archives, written as ``model.save`` writes them, against torch's own layers in the
order of sb3-contrib's ``RecurrentActorCriticPolicy``.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgernn.containers.reading import read
from edgernn.errors import DataError, EdgernnError, UsageError
from edgernn.importers.base import Opened, Wishes
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.recurrent_ppo import RecurrentPpo

I, H, O, T, B = 3, 5, 2, 9, 2  # noqa: E741


class Policy(nn.Module):
    """The parts of upstream's policy, by its names."""

    def __init__(self, function: type[nn.Module], *, continuous: bool = True) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.lstm_actor, self.lstm_critic = nn.LSTM(I, H, num_layers=2), nn.LSTM(I, H)
        self.mlp_extractor = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(H, 6), function(), nn.Linear(6, 4), function())
                for name in ("policy_net", "value_net")
            }
        )
        self.action_net, self.value_net = nn.Linear(4, O), nn.Linear(4, 1)
        if continuous:
            self.log_std = nn.Parameter(torch.zeros(O))

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """``[T, B, I]`` to ``[T, B, O]``."""
        return self.action_net(self.mlp_extractor["policy_net"](self.lstm_actor(x)[0]))


def _saved(policy: nn.Module, path: Path, **data: Any) -> Path:
    raw = io.BytesIO()
    torch.save(policy.state_dict(), raw)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps({"gamma": 0.9, "clip": float("inf"), **data}))
        archive.writestr("policy.pth", raw.getvalue())
        archive.writestr("_stable_baselines3_version", "2.9.2")
    return path


def _recorded(policy: Policy, folder: Path, output: str) -> Path:
    x = torch.randn(T, B, I, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        y = policy.mean(x)
    path = folder / "run.npz"
    np.savez(path, **{"in/observation": x.numpy(), f"out/{output}": y.numpy()})
    return path


_RELU = {"activation_fn": "<class 'torch.nn.modules.activation.ReLU'>", ":serialized:": "gAWV"}


@pytest.mark.parametrize(
    ("function", "said", "continuous"),
    [(nn.Tanh, {}, True), (nn.ReLU, _RELU, True), (nn.Tanh, {"net_arch": [6, 4]}, False)],
)
def test_the_actor_of_an_archive(function: Any, said: Any, continuous: bool, tmp_path: Path):
    policy = Policy(function, continuous=continuous)
    space = {"low": "[-2.\n -1.]", "high": "[2. 1.]"}
    path = _saved(policy, tmp_path / "net.zip", policy_kwargs=said, action_space=space)
    run = _recorded(policy, tmp_path, "actions" if continuous else "logits")
    taken = import_checkpoint(path, tmp_path / "run", check=run, tolerance=1e-6)
    assert taken.family == "recurrent-ppo"
    assert "the environment's actions are from [-2. -1.] to [2. 1.]" in taken.told


def test_the_policy_alone_takes_its_function_from_the_user(tmp_path: Path) -> None:
    policy, path = Policy(nn.ELU), tmp_path / "policy.pth"
    torch.save(policy.state_dict(), path)
    run, out = _recorded(policy, tmp_path, "actions"), tmp_path / "run"
    with pytest.raises(EdgernnError, match="does not come out"):
        import_checkpoint(path, out, check=run)
    taken = import_checkpoint(path, out, check=run, wishes=Wishes(settings={"activation": "ELU"}))
    assert taken.family == "recurrent-ppo"
    with pytest.raises(UsageError, match=r"--set activation=relu.*ReLU"):
        import_checkpoint(path, out, wishes=Wishes(settings={"activation": "relu"}))


def test_a_policy_that_sees_pictures_is_refused(tmp_path: Path) -> None:
    policy = Policy(nn.Tanh)
    policy.features_extractor = nn.Conv2d(3, 4, 2)
    opened = Opened(read(_saved(policy, tmp_path / "net.zip")))
    assert "features_extractor.weight" in RecurrentPpo().refusal(opened)
    with pytest.raises(EdgernnError, match="features_extractor"):
        RecurrentPpo().read(opened)


def test_a_function_that_is_not_known_is_refused(tmp_path: Path) -> None:
    said = {"activation_fn": "<class 'mine.Wave'>"}
    path = _saved(Policy(nn.Tanh), tmp_path / "net.zip", policy_kwargs=said)
    with pytest.raises(UsageError, match=r"mine\.Wave.*--set activation="):
        import_checkpoint(path, tmp_path / "run")


@pytest.mark.parametrize("entry", ["data", "policy.pth"])
def test_a_damaged_archive_is_one_line(entry: str, tmp_path: Path) -> None:
    good, bad = _saved(Policy(nn.Tanh), tmp_path / "net.zip"), tmp_path / "bad.zip"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(bad, "w") as new:
        for name in old.namelist():
            raw = old.read(name)
            new.writestr(name, raw[: len(raw) // 2] if name == entry else raw)
    with pytest.raises(DataError, match="is damaged") as caught:
        read(bad)
    assert "\n" not in str(caught.value)
