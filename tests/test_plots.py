"""Every picture that edgernn draws, looked at: panels, light, words, and what is asked of a machine
that cannot draw.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgernn import plots
from edgernn.errors import StorageError, UnavailableError, UsageError
from edgernn.formats.installed import install_command
from edgernn.plots import curves

GREY = 180
SHORT = ("a", "red", "dot", "above", "two", "blue", "squares")
LONG = (
    "internationalization",
    "counterrevolutionary",
    "incomprehensibilities",
    "uncharacteristically",
)


@pytest.fixture
def draw(tmp_path: Path) -> Callable[..., np.ndarray]:
    """Draw the map of a grey picture and return it, uint8 ``[H, W, 3]``."""

    def make(
        words: list[str], *, size: tuple[int, int] = (64, 64), attention: np.ndarray | None = None
    ) -> np.ndarray:
        looked = np.full((len(words), 16), 1 / 16) if attention is None else attention
        plots.attention_map(
            np.full((*size, 3), GREY, np.uint8), words, looked, tmp_path / "map.png"
        )
        with Image.open(tmp_path / "map.png") as drawn:
            assert drawn.format == "PNG"
            return np.array(drawn.convert("RGB"))

    return make


def runs(filled: np.ndarray) -> list[tuple[int, int]]:
    """Return where the runs of True in ``filled [N]`` begin and end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], filled.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def panels(drawn: np.ndarray) -> list[np.ndarray]:
    """Cut a map into its panels, row by row: the picture fills them from edge to edge, words and
    gaps do not.
    """
    dark = drawn.max(2) < 200
    left, right = runs(dark.mean(0) > 0.3)[0]
    rows = [run for run in runs(dark[:, left + 2 : right - 2].all(1)) if run[1] - run[0] > 10]
    return [
        drawn[top:end, start:stop]
        for top, end in rows
        for start, stop in runs(dark[top + 2 : end - 2].all(0))
    ]


@pytest.mark.parametrize("count", [0, 1, 5, 6, 14])
def test_a_panel_for_the_picture_and_one_for_each_word(
    count: int, draw: Callable[..., np.ndarray]
) -> None:
    found = panels(draw(["word"] * count))
    assert len(found) == count + 1
    for panel in found:  # looking everywhere alike leaves the picture as it is
        assert np.abs(panel[3:-3, 3:-3].astype(int) - GREY).max() <= 1
        assert abs(panel.shape[0] - panel.shape[1]) <= 2


@pytest.mark.parametrize("size", [(64, 64), (30, 120), (120, 40), (500, 300)], ids=str)
@pytest.mark.parametrize("region", [0, 6, 11, 15])
def test_it_is_light_where_the_model_looked(
    region: int, size: tuple[int, int], draw: Callable[..., np.ndarray]
) -> None:
    looked = np.full((1, 16), 0.001)
    looked[0, region] = 1
    plain, panel = panels(draw(["dot"], size=size, attention=looked))
    assert plain.shape == panel.shape
    height, width = panel.shape[:2]
    assert max(height, width) <= 1.75 * 120
    assert height / width == pytest.approx(size[0] / size[1], rel=0.1)
    light = panel[..., 0].astype(float)
    assert light.max() == pytest.approx(GREY, abs=8)  # the brightest region stands in full light
    bright = np.argwhere(light > (light.max() + light.min()) / 2).mean(0)
    where = (region // 4 + 0.5) / 4 * height, (region % 4 + 0.5) / 4 * width
    assert bright == pytest.approx(where, abs=0.08 * max(height, width))
    assert light[np.ix_([2, -3], [2, -3])].min() < GREY / 2


def test_the_region_looked_at_most_is_in_full_light_however_little_it_got(
    draw: Callable[..., np.ndarray],
) -> None:
    looked = np.full((1, 16), 0.0624)
    looked[0, 5] = 0.064
    _, panel = panels(draw(["dot"], attention=looked))
    assert panel[..., 0].max() == pytest.approx(GREY, abs=3)


def test_where_nothing_was_looked_at_all_is_in_the_shade(draw: Callable[..., np.ndarray]) -> None:
    _, panel = panels(draw(["dot"], attention=np.zeros((1, 16))))
    assert panel[3:-3, 3:-3].max() < GREY / 2


@pytest.mark.parametrize("words", [SHORT, LONG, ("x" * 60,)], ids=["short", "long", "endless"])
@pytest.mark.parametrize("size", [(64, 64), (200, 50)], ids=str)
def test_words_stand_above_their_panels_and_never_touch(
    words: tuple[str, ...], size: tuple[int, int], draw: Callable[..., np.ndarray]
) -> None:
    drawn = draw(list(words), size=size)
    columns = min(len(words) + 1, 6)
    pitch = drawn.shape[1] / columns
    first_row = drawn[
        : np.flatnonzero((drawn[:, int(pitch / 2)] < 200).all(1))[0]
    ]  # above the first panel
    ink = (first_row.max(2) < 200).any(0)
    for column in range(columns):
        inside = ink[round(column * pitch) + 2 : round((column + 1) * pitch) - 2]
        assert inside.any() == (column > 0)  # the picture alone has no word
    for column in range(1, columns):
        assert not ink[round(column * pitch) - 1 : round(column * pitch) + 1].any()


def test_a_word_is_shown_as_it_is(draw: Callable[..., np.ndarray]) -> None:
    draw(
        ["$5", "$x^$", "a_b", "\\frac", "<unk>", "犬", "كلب", "😀"]
    )  # no formulas, and no warning of a missing glyph


def test_the_words_and_the_attention_must_be_as_many(draw: Callable[..., np.ndarray]) -> None:
    with pytest.raises(ValueError, match="shorter"):
        draw(["two", "words"], attention=np.full((1, 16), 1 / 16))


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(StorageError, match="could not write"):
        plots.attention_map(
            np.zeros((8, 8, 3), np.uint8), [], np.zeros((0, 4)), tmp_path / "folder.png"
        )


def test_a_machine_without_matplotlib_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plots.check_available()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    for draw in (plots.check_available, lambda: plots.loss_curve([], tmp_path / "loss.png")):
        with pytest.raises(
            UnavailableError,
            match="drawing needs matplotlib; run: " + re.escape(install_command("images")),
        ):
            draw()


@pytest.mark.parametrize("validated", [True, False])
def test_the_loss_curve(validated: bool, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "train", "step": step, "train_loss": 3 - step / 50} for step in range(0, 100, 10)
    ]
    if validated:
        rows += [
            {"kind": "validation", "step": step, "validation_loss": 2.5, "split": "a part"}
            for step in (50, 100)
        ]
    plots.loss_curve(rows, tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as drawn:
        pixels = np.array(drawn.convert("RGB")).reshape(-1, 3)
    for colour, there in (((0x8D, 0xA9, 0xC4), True), ((0xC1, 0x44, 0x0E), validated)):
        assert (pixels == colour).all(1).any() == there


def test_a_run_of_one_evaluation_shows_both_losses_at_whole_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr(curves, "save", lambda figure, path: drawn.append(figure))
    row = {
        "kind": "validation",
        "step": 3,
        "train_loss": 2.2,
        "validation_loss": 2.5,
        "split": "a part",
    }
    plots.loss_curve([row], tmp_path / "loss.png")
    (axes,) = drawn[0].axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.2], [2.5]]
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_step_times_over_the_line_of_the_memory(tmp_path: Path) -> None:
    steps = [("above", 4_000_000, 2.0), ("below", 4_000_000, 0.05), ("small", 1_000_000, 0.5)]
    plots.step_times(steps, tmp_path / "steps.png", bytes_per_ms=10e6)
    with Image.open(tmp_path / "steps.png") as drawn:
        pixels = np.array(drawn.convert("RGB"))

    def marker(colour: tuple[int, int, int]) -> np.ndarray:
        """Return row and column of the patch of ``colour``, leaving out the legend at the right."""
        found = np.argwhere((pixels == colour).all(2))
        place: np.ndarray = found[found[:, 1] < 0.68 * pixels.shape[1]].mean(0)
        return place

    above, below, small = (
        marker((0x0B, 0x25, 0x45)),
        marker((0xC1, 0x44, 0x0E)),
        marker((0x8D, 0xA9, 0xC4)),
    )
    assert above[1] == pytest.approx(below[1], abs=2)  # files of one size
    assert small[1] < above[1] - 50
    scale = (below[0] - above[0]) / np.log(2 / 0.05)  # rows of a factor e
    assert above[0] + scale * np.log(2 / 0.5) == pytest.approx(small[0], abs=2)
    line = above[0] + scale * np.log(2 / 0.4)  # where 4 MB at 10 GB/s are
    column = pixels[:, round(above[1]) - 12 : round(above[1]) + 13].max(2) < 40
    dashes = np.flatnonzero(column.any(1))
    near = dashes[np.abs(dashes - line) < 12]
    assert near.size
    assert near.mean() == pytest.approx(line, abs=5)


def test_many_steps_of_hardly_a_size_are_drawn_too(tmp_path: Path) -> None:
    steps = [(f"file {index}", 20 + index, 1e-4 * (index + 1)) for index in range(12)]
    plots.step_times(steps, tmp_path / "steps.png", bytes_per_ms=1e7)
    assert (tmp_path / "steps.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PDF", b"%PDF")],
)
def test_a_picture_is_of_the_kind_that_its_name_says(
    suffix: str, begins: bytes, tmp_path: Path
) -> None:
    path = tmp_path / f"picture{suffix}"
    plots.step_times(
        [("a $x^$ _b", 4_000_000, 2.0)], path, bytes_per_ms=1e7, notes=["what is $not$ read"]
    )
    assert path.read_bytes().startswith(begins)
    plots.attention_map(np.zeros((8, 8, 3), np.uint8), [], np.zeros((0, 4)), path)
    assert path.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("name", "told"),
    [("x.jpg", "ends in '.jpg'"), ("x", "has no suffix"), ("x.pgn", r"did you mean \.png\?")],
)
def test_a_name_of_another_kind_is_refused_before_anything_is_drawn(
    name: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"expected one of \.png, \.pdf, \.svg") as raised:
        plots.check_available(tmp_path / name)
    assert re.search(told, str(raised.value))
    with pytest.raises(UsageError):
        plots.attention_map(np.zeros((8, 8, 3), np.uint8), [], np.zeros((0, 4)), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("losses", [[4.6, 4.4], [4.6], [9.0, 1.6, 1.5], [3.0, 3.0, float("nan")]])
def test_no_loss_lies_outside_of_the_curve(
    losses: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "train", "step": step, "train_loss": loss, "unit": "character"}
        for step, loss in enumerate(losses)
    ]
    rows.append(
        {
            "kind": "validation",
            "step": len(losses),
            "validation_loss": 2.0,
            "split": "$a",
            "unit": "character",
        }
    )
    drawn = []
    monkeypatch.setattr(curves, "save", lambda figure, path: drawn.append(figure))
    plots.loss_curve(rows, tmp_path / "loss.png")
    (axes,) = drawn[0].axes
    low, high = axes.get_ylim()
    assert low < min(2.0, *losses) and max(loss for loss in losses if loss == loss) < high  # noqa: PLR0124
    assert axes.get_ylabel() == "loss, nats per character"
    assert len(losses) > 30 or axes.lines[0].get_marker() == "."
