"""``edgernn train text --cell NAME`` for each cell for which torch has no layer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgernn.models import checkpoint
from edgernn.models.cells.table import CELLS, FUSED

pytestmark = pytest.mark.usefixtures("undrawn")
TEXT = "the quick brown fox jumps over the lazy dog.\n" * 60
RESUMED = ("min_lstm", "nas")
SMALL = (
    *("--embedding", 8, "--hidden", 16, "--layers", 1, "--batch", 4, "--chunk", 12),
    *("--steps", 80, "--evaluations", 1, "--threads", 1, "--device", "cpu"),
)


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in FUSED])
def test_the_loss_falls_and_every_parameter_is_finite(
    run: Callable[..., tuple[int, str, str]], tmp_path: Path, cell: str
) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    code, out, err = run(
        "train", "text", "--data", "text.txt", "--out", "run", "--cell", cell, *SMALL, "--json"
    )
    assert code == 0, err
    model = checkpoint.load(tmp_path / "run").model
    untrained = math.log(model.config.vocabulary)  # nats, of a guess
    assert json.loads(out)["validation_loss"] < untrained - 0.3
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.mark.parametrize("cell", RESUMED)
def test_a_run_goes_on(run: Callable[..., tuple[int, str, str]], tmp_path: Path, cell: str) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    begun = ("--data", "text.txt", "--cell", cell, *SMALL, "--steps", 20)
    told = []
    for given in (begun, ("--resume", "--steps", 60)):
        code, out, err = run("train", "text", "--out", "run", *given, "--json")
        assert code == 0, err
        told.append(json.loads(out))
    assert [each["steps"] for each in told] == [20, 60]
    assert told[1]["validation_loss"] < told[0]["validation_loss"] - 0.1
