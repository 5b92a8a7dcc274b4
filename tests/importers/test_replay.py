"""Recorded runs, however they lie: steps first, rows first, one row, with log-probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_family
from toy_family import HIDDEN, VOCABULARY, toy_run, toy_tensors

from edgernn.containers.content import Content
from edgernn.errors import CheckFailedError, DataError, UsageError
from edgernn.importers.base import Opened
from edgernn.importers.building import built
from edgernn.importers.replay import replayed
from edgernn.models.family import RecurrentModel

N, B = 6, 3
TOKENS = np.random.default_rng(3).integers(VOCABULARY, size=(N, B))
MADE = toy_run(toy_tensors(), TOKENS)
LOG_PROBS = MADE["logits"] - np.log(np.exp(MADE["logits"]).sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def model() -> RecurrentModel:
    path = Path("toy.npz")
    opened = Opened(Content(path, "an npz file", toy_tensors()))
    return built(toy_family.Toy().read(opened), path)


@pytest.mark.parametrize(
    ("arrays", "names"),
    [
        ({"in/tokens": TOKENS, "out/logits": MADE["logits"]}, {"out/logits"}),
        ({"in/tokens": TOKENS.T, "out/logits": MADE["logits"]}, {"out/logits"}),
        ({"in/tokens": TOKENS, "whole/log_probs": LOG_PROBS}, {"whole/log_probs"}),
        ({"ctx/tokens": TOKENS.T, "whole/out": MADE["logits"].swapaxes(0, 1)}, {"whole/out"}),
        ({"in/tokens": TOKENS[:, 1], "out/log_probs": LOG_PROBS[:, 1]}, {"out/log_probs"}),
        ({"tokens": TOKENS.T, "logits": MADE["logits"].swapaxes(0, 1)}, {"whole/logits"}),
        ({"x": TOKENS.T, "y": MADE["logits"].swapaxes(0, 1)}, {"whole/y"}),
        ({"in/x": TOKENS, "out/probs": np.exp(LOG_PROBS)}, {"out/probs"}),
        ({"X_test": TOKENS.T, "predicted": MADE["logits"][-1]}, {"whole/predicted"}),
        ({"in/ids": TOKENS, "state/hidden": MADE["h"][:, 0]}, {"state/hidden"}),
        (
            {"in/a_tokens": TOKENS, "out/a_logits": MADE["logits"], "out/b_logits": TOKENS * 1.0},
            {"out/logits"},
        ),
        (
            {"in/x": TOKENS[3:], "state0/h0": MADE["h"][2], "out/logits": MADE["logits"][3:]},
            {"out/logits"},
        ),
    ],
    ids=[
        "steps",
        "rows",
        "whole",
        "ctx",
        "one",
        "plain",
        "bare",
        "probs",
        "last",
        "state",
        "part",
        "later",
    ],
)
def test_however_a_run_lies_it_is_replayed(
    arrays: dict[str, np.ndarray], names: set[str], model: RecurrentModel, tmp_path: Path
) -> None:
    np.savez(tmp_path / "run.npz", **arrays)
    part = ":a_" if any("a_" in name for name in arrays) else ""
    found = replayed(model, f"{tmp_path / 'run.npz'}{part}", tolerance=1e-5)
    assert {each.name for each in found} == names


def test_what_was_not_compared_is_told(model: RecurrentModel, tmp_path: Path) -> None:
    arrays = {"in/tokens": TOKENS, "out/logits": MADE["logits"], "out/top": np.ones((N, B, 2))}
    np.savez(tmp_path / "run.npz", **arrays)
    said: list[str] = []
    replayed(model, tmp_path / "run.npz", tolerance=1e-5, tell=said.append)
    assert said == ["not compared: out/top, which no output or state of the network is"]


def test_the_last_step_alone_is_not_taken_for_an_earlier_one(
    model: RecurrentModel, tmp_path: Path
) -> None:
    np.savez(tmp_path / "run.npz", x=TOKENS.T, y=MADE["logits"][-2])
    with pytest.raises(CheckFailedError, match=f"whole/y is .* off at step {N - 1}, row"):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


@pytest.mark.parametrize("rows_first", [False, True])
def test_what_is_no_number_is_found_at_its_own_step_and_row(
    rows_first: bool, model: RecurrentModel, tmp_path: Path
) -> None:
    square = np.tile(TOKENS, 2)  # [N, N]: either axis may be that of steps
    wrong = toy_run(toy_tensors(), square)["logits"].copy()
    x, y = (square.T, wrong.swapaxes(0, 1)) if rows_first else (square, wrong)
    np.savez(tmp_path / "run.npz", x=x, y=y)
    replayed(model, tmp_path / "run.npz", tolerance=1e-5)
    wrong[4, 1, 2] = np.nan
    np.savez(tmp_path / "run.npz", x=x, y=y)
    with pytest.raises(CheckFailedError, match="whole/y is nan off at step 4, row 1 "):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


def test_a_wrong_dtype_is_shown(model: RecurrentModel, tmp_path: Path) -> None:
    np.savez(tmp_path / "run.npz", **{"in/tokens": TOKENS * 0.5, "out/logits": MADE["logits"]})
    said = (
        r"has in/tokens float64 \[6, 3\], out/logits float64 \[.*"
        r"network's tokens int\d+ \['batch', 'time'\]; logits float32"
    )
    with pytest.raises(UsageError, match=said):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


def test_a_wrong_first_state_is_seen(model: RecurrentModel, tmp_path: Path) -> None:
    arrays = {"in/tokens": TOKENS[3:], "out/logits": MADE["logits"][3:]}
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(CheckFailedError, match="off at step 0"):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


@pytest.mark.parametrize(
    "arrays",
    [
        {"in/tokens": TOKENS, "out/logits": MADE["logits"][..., :5]},
        {"in/tokens": TOKENS * 0.5, "out/logits": MADE["logits"]},
        {"in/tokens": TOKENS, "state0/h": np.ones((1, B, HIDDEN + 1)), "out/logits": LOG_PROBS},
        {"in/tokens": TOKENS},
    ],
    ids=["outputs", "floats", "state", "nothing"],
)
def test_a_run_of_another_network_is_refused(
    arrays: dict[str, np.ndarray], model: RecurrentModel, tmp_path: Path
) -> None:
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(UsageError, match="does not fit the network's tokens"):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


@pytest.mark.parametrize("shape", [(0, B), (N, 0)])
def test_a_run_of_nothing_is_refused(
    shape: tuple[int, int], model: RecurrentModel, tmp_path: Path
) -> None:
    arrays = {"in/x": np.zeros(shape, np.int64), "y": np.zeros((*shape, VOCABULARY), np.float32)}
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(UsageError, match="does not fit the network's tokens"):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


def test_a_run_without_end_is_refused_unread(model: RecurrentModel, tmp_path: Path) -> None:
    tokens = np.zeros((1, 100_001), np.int64)
    np.savez(tmp_path / "run.npz", x=tokens, y=np.zeros((*tokens.shape, VOCABULARY), np.float32))
    with pytest.raises(UsageError, match="has 100,001 steps, expected at most 100,000; give its"):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)


def test_what_is_no_recording_is_refused(model: RecurrentModel, tmp_path: Path) -> None:
    (tmp_path / "run.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError):
        replayed(model, tmp_path / "run.npz", tolerance=1e-5)
    with pytest.raises(DataError, match="not there"):
        replayed(model, tmp_path / "none.npz", tolerance=1e-5)


def test_a_part_that_no_name_holds_is_refused(model: RecurrentModel, tmp_path: Path) -> None:
    path = tmp_path / "run.npz"
    np.savez(path, **{"in/tokens": TOKENS, "out/logits": MADE["logits"]})
    with pytest.raises(DataError, match=r"no array whose name holds 'foo'; it has .*tokens"):
        replayed(model, f"{path}:foo", tolerance=1e-4)
