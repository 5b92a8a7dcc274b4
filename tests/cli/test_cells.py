"""``edgernn cells``: the same ranking from a bundle and its run, a page, and errors in a line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]


def test_a_bundle_and_its_run_rank_alike(
    run: Run, bundle_folder: Path, checkpoint_folder: Path, tmp_path: Path
) -> None:
    Path("own.txt").write_text("the quick brown fox\njumps over\n" * 20)
    found = []
    for model in (bundle_folder, checkpoint_folder):
        code, out, err = run("cells", model, "--text", "own.txt", "--json", "--out", "page.html")
        assert code == 0, err
        found.append(json.loads(out))
        assert (tmp_path / "page.html").stat().st_size > 10_000
    assert found[0]["cells"] == 2 * 2 * 8
    assert found[0]["read"] == found[1]["read"]
    for ours, theirs in zip(found[0]["features"], found[1]["features"], strict=True):
        scores = [[cell["score"] for cell in ranked["cells"]] for ranked in (ours, theirs)]
        np.testing.assert_allclose(*scores, atol=1e-3)
    assert found[0]["features"][1]["feature"] == "position in the line"


def test_a_text_of_ones_own_is_read_up_to_a_limit(run: Run, bundle_folder: Path) -> None:
    Path("own.txt").write_text("the quick brown fox\n" * 20)
    code, out, err = run("cells", bundle_folder, "--text", "own.txt", "--tokens", 250)
    assert code == 0, err
    assert "32 cells over 250 tokens of own.txt" in out
    assert "150 characters after them were not" in err


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("", (), "own.txt is empty"),
        ("the " * 10, (), "the text has 40 tokens, expected 200 or more"),
        ("%" * 300, (), "the vocabulary has no '%'"),
        ("%" * 300, ("--on-unknown", "skip"), "the text has 0 tokens"),
        ("the " * 100, ("--out", "page.txt"), "a name that ends in .html"),
    ],
)
def test_errors(
    run: Run, bundle_folder: Path, text: str, options: tuple[str, ...], told: str
) -> None:
    Path("own.txt").write_text(text)
    code, _, err = run("cells", bundle_folder, "--text", "own.txt", *options)
    assert code == 2
    assert told in err
    assert err.count("\n") == 1


def test_a_held_out_text_that_is_too_short(run: Run, bundle_folder: Path) -> None:
    code, _, err = run("cells", bundle_folder)
    assert code == 2
    assert "the text has 53 tokens" in err


def test_a_model_that_does_not_read_a_text_alone(run: Run, captioner_bundle_folder: Path) -> None:
    code, _, err = run("cells", captioner_bundle_folder)
    assert code == 2
    assert "expected a text alone" in err
