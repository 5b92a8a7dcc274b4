"""A network from a user's own file, and what is said of one that gives none."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from edgernn.errors import UsageError
from edgernn.hoisting.loading import load_network

BESIDE = "WIDTH = 3\n"
NETWORK = """
from __future__ import annotations
from dataclasses import dataclass
import torch
from torch import nn
from beside import WIDTH

@dataclass
class Settings:
    width: int = WIDTH

class Net(nn.Module):
    def __init__(self, width=Settings().width):
        super().__init__()
        self.out = nn.Linear(width, 2)
    def forward(self, x):
        return self.out(x)

class Wide(Net):
    def __init__(self, width, depth):
        super().__init__(width)

def make():
    return Net()

def broken():
    layers = [1]
    return layers[WIDTH]

def deep():
    return nn.Linear(3, "four")

def pair():
    return Net(), 3

whole, number = Net(), 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "torch.py").write_text("raise RuntimeError('shadowed')")
    (tmp_path / "my_net.py").write_text(NETWORK)
    return tmp_path / "my_net.py"


@pytest.mark.parametrize("name", ["Net", "make", "whole"])
def test_a_class_a_function_or_a_module(file: Path, name: str) -> None:
    network = load_network(f"{file}:{name}")
    assert isinstance(network, nn.Module)
    assert network.out.in_features == 3
    assert not network.training


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (":mak", r"has no 'mak'; it has Net, Wide, make, .*did you mean make\?"),
        ("", r"is a file, expected FILE\.py:NAME.*it has Net, Wide"),
        (":broken", r"^my_net\.py:28 raised IndexError: list index out of range"),
        (":deep", r"^my_net\.py:31 raised TypeError: "),
        (":pair", "returned tuple, expected a torch.nn.Module; return the module alone"),
        (":number", "number of .* is int, expected"),
        (":Wide", r"Wide of .* needs width, depth; write a function without arguments"),
    ],
)
def test_what_gives_no_module_is_told(file: Path, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        load_network(f"{file}{name}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import nowhere_to_be_found\n", r"^n\.py:1 raised ModuleNotFoundError"),
        ("x = 1\ndef f(:\n", r"^n\.py:2 is no Python that runs"),
        ("import sys\nsys.exit(3)\n", r"^n\.py:2 ended the program \(exit code 3\)"),
        ("x = 1\n", "has no 'make'; it has no module, class or function"),
    ],
)
def test_a_file_that_does_not_run_is_told(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "n.py").write_text(text)
    with pytest.raises(UsageError, match=says):
        load_network(f"{tmp_path / 'n.py'}:make")


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.py is not there; check the name"):
        load_network(f"{tmp_path / 'none.py'}:make")
