"""``edgernn train text --cell causal_convolution``: no cell, but chosen as one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.models import checkpoint
from edgernn.models.layered.network import Network

pytestmark = pytest.mark.usefixtures("undrawn")
TEXT = "the quick brown fox jumps over the lazy dog.\n" * 60
SMALL = (
    *("--embedding", 16, "--hidden", 16, "--layers", 3, "--batch", 4, "--chunk", 12),
    *("--evaluations", 1, "--threads", 1, "--device", "cpu"),
)
OF_CONVOLUTIONS = ("--cell", "causal_convolution", "--kernel", 2, "--growth", 3, "--tied")


def test_it_learns_resumes_and_writes(run: Callable[..., tuple[int, str, str]]) -> None:
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    train = ("train", "text", "--data", "text.txt", "--out", "run", *OF_CONVOLUTIONS, *SMALL)
    code, out, err = run(*train, "--steps", 40, "--json")
    assert code == 0, err
    model = checkpoint.load(Path("run")).model
    assert isinstance(model, Network)
    shapes = [tuple(s.shape) for s in model.initial_state(1)]
    assert shapes == [(1, 1, 16), (1, 3, 16), (1, 9, 16)]
    untrained = math.log(model.config.vocabulary)  # nats, of a guess
    first = json.loads(out)["validation_loss"]
    assert first < untrained - 0.3
    code, out, err = run("train", "text", "--out", "run", "--resume", "--steps", 80, "--json")
    assert code == 0, err
    assert json.loads(out)["validation_loss"] < first


def test_what_does_not_go_with_it_is_told(run: Callable[..., tuple[int, str, str]]) -> None:
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    train = ("train", "text", "--data", "text.txt", "--out", "run", *SMALL, "--steps", 2)
    for options, told in (
        (
            ("--cell", "gru", "--kernel", 3),
            "gru takes no --kernel; leave it out, or choose",
        ),
        ((*OF_CONVOLUTIONS, "--between", "highway"), "causal_convolution takes no --between"),
        ((*OF_CONVOLUTIONS, "--learned-state"), "leave --learned-state out"),
        ((*OF_CONVOLUTIONS, "--embedding", 8), "tied weights need embedding = hidden"),
        (("--cell", "causal_convolution", "--kernel", 1), "kernel"),
    ):
        code, _, err = run(*train, *options)
        assert code == 2
        assert told in err
        assert len(err.strip().splitlines()) == 1, err
