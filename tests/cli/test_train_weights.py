"""``edgernn train text --weights``: what is saved has few values a row, and a run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgernn.models import checkpoint

pytestmark = pytest.mark.usefixtures("undrawn")
TEXT = "the quick brown fox jumps over the lazy dog.\n" * 60
SMALL = (
    *("--embedding", 16, "--hidden", 16, "--layers", 2, "--batch", 4, "--chunk", 12),
    *("--evaluations", 1, "--threads", 1, "--device", "cpu"),
)


def test_ternary_weights_are_learned_saved_and_learned_further(
    run: Callable[..., tuple[int, str, str]],
) -> None:
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    train = ("train", "text", "--data", "text.txt", "--out", "run", "--weights", "ternary", *SMALL)
    losses = []
    for command in (
        (*train, "--steps", 30),
        ("train", "text", "--out", "run", "--resume", "--steps", 60),
    ):
        code, out, err = run(*command, "--json")
        assert code == 0, err
        losses.append(json.loads(out)["validation_loss"])
        matrix = checkpoint.load(Path("run")).model.get_parameter("recurrent.fused.weight_ih_l1")
        assert all(len(row.unique()) <= 3 for row in matrix)
    assert losses[1] < losses[0]
    code, _, err = run(*train, "--steps", 2, "--cell", "causal_convolution", "--out", "other")
    assert code == 2
    assert "causal_convolution takes no --weights" in err
