"""``edgernn paint``: the pictures of a grid, of the frames and of a label, from noise that the seed
decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from family_networks import export_tiny
from PIL import Image

from edgernn.writing.painting import Painter, grid

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny("painter", tmp_path_factory.mktemp("paint") / "b", to=["onnx"], steps=8)


def test_a_grid_holds_the_last_of_every_picture_and_the_frames_each_step(
    bundle: Path, tmp_path: Path, run: Run
) -> None:
    out, frames = tmp_path / "grid.png", tmp_path / "frames"
    command = ["paint", bundle, "--label", "right", "--out", out, "--count", 3]
    code, printed, err = run(*command, "--frames", frames, "--json", "--seed", 4)
    assert (code, err) == (0, "")
    record = json.loads(printed)
    assert (record["steps"], record["size"]) == (3, [6, 8])  # as in its held-out sample
    with Painter(bundle) as painter:
        painted = painter.paint("right", count=3, seed=4)
        other = painter.paint("left", count=3, seed=4)
        again = painter.paint("right", count=3, seed=5)
    assert painted.shape == (3, 3, 6, 8)
    assert (painted != other).any()
    assert (painted != again).any()
    shown = np.asarray(Image.open(out))
    for place, corner in ((0, (0, 0)), (1, (0, 1)), (2, (1, 0))):
        top, left = corner[0] * (6 * 16 + 1), corner[1] * (8 * 16 + 1)
        part = shown[top : top + 96 : 16, left : left + 128 : 16]
        assert np.array_equal(part, painted[place, -1])
    steps = sorted(frames.glob("*.png"))
    assert [str(path) for path in steps] == record["frames"]
    first = np.asarray(Image.open(steps[0]))[:96:16, :128:16]
    assert np.array_equal(first, painted[0, 0])


def test_the_temperature_multiplies_the_noise(bundle: Path, tmp_path: Path, run: Run) -> None:
    with Painter(bundle) as painter:
        cold = painter.paint("left", count=2, temperature=0)
        hot = painter.paint("left", count=2, temperature=2)
        one = painter.paint("left", count=2)
    assert np.array_equal(cold[0], cold[1])
    assert (hot != one).any()
    out = tmp_path / "grid.png"
    command = ["paint", bundle, "--label", "left", "--out", out, "--count", 2]
    code, printed, _ = run(*command, "--temperature", 0, "--json")
    assert (code, json.loads(printed)["temperature"]) == (0, 0)
    shown = np.asarray(Image.open(out))
    assert np.array_equal(shown[:96:16, :128:16], cold[0, -1])
    code, _, err = run(*command, "--temperature", -1)
    assert (code, "temperature is -1.0, expected 0 to 100" in err) == (2, True)


def test_a_grid_is_about_square() -> None:
    made = grid(np.arange(5, dtype=np.uint8).reshape(5, 1, 1), scale=1)
    assert made.tolist() == [[0, 48, 1, 48, 2], [48] * 5, [3, 48, 4, 48, 48]]


def test_an_unknown_label_and_numbers_out_of_range_are_told(
    bundle: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "grid.png"
    code, _, err = run("paint", bundle, "--label", "up", "--out", out)
    assert (code, "paints no 'up'; expected one of left, right" in err) == (2, True)
    code, _, err = run("paint", bundle, "--label", "left", "--out", out, "--count", 0)
    assert (code, "count is 0, expected 1 to 10,000" in err) == (2, True)
    code, _, err = run("paint", bundle, "--label", "left", "--out", tmp_path / "grid.gif")
    assert (code, "expected a name that ends in .png" in err) == (2, True)
    assert not out.exists()
