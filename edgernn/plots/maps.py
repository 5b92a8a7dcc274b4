"""Maps of where a network looked: at a picture's regions, at a text, along a path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgernn.plots.drawing import figure, save

if TYPE_CHECKING:
    import numpy as np

_MAP = 4.0  # inches: the longer side of a picture with a path on it
_COLUMNS, _SHADE = 6, 0.75  # panels in a row; how dark what was not looked at gets
# inches: the longer side of a panel, the least ones, a word above
_PANEL, _NARROWEST, _LOWEST, _TITLE = 1.75, 1.2, 0.3, 0.3
# points at most; a letter's width as a share of them; letters of a word
_LETTERS, _LETTER_WIDTH, _LONGEST = 13.0, 0.7, 24
# inches of a character of a text that was read or written; of the axes
_CELL, _BESIDE = 0.22, 0.9
_PATH = "#c1440e"


def attention_map(
    picture: np.ndarray, words: Sequence[str], attention: np.ndarray, path: Path
) -> None:
    """Draw ``picture``, then once per word with what the word was not written from in the shade.

    Args:
        picture: uint8 ``[H, W, 3]``; the regions tile it, so they are stretched as it was for the
            model.
        words: N of them; none draws the picture alone.
        attention: ``[N, R]``, R a square number, none below 0; the brightest region of a row is
            shown in full light.
        path: the picture to write.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    columns = min(len(words) + 1, _COLUMNS)
    rows = -(-(len(words) + 1) // columns)
    width, height = _panel(picture)
    drawn = figure(width * columns, (height + _TITLE) * rows)
    places = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axes in places:
        axes.set_axis_off()
    extent = (0, picture.shape[1], picture.shape[0], 0)
    panels = zip(["", *words], [None, *attention], strict=True)
    for axes, (word, light) in zip(places, panels, strict=False):  # the last row may have room
        axes.imshow(picture, extent=extent)
        shown = word if len(word) <= _LONGEST else f"{word[: _LONGEST - 1]}…"
        axes.set_title(shown, fontsize=_letters(shown, width), parse_math=False)
        if light is not None:
            axes.imshow(_shade(light), extent=extent, interpolation="bilinear")
    save(drawn, path)


def text_attention(source: str, written: str, attention: np.ndarray, path: Path) -> None:
    """Draw where a translator looked: a row for each character that it wrote, a column for each
    that it read, dark where it looked.

    Args:
        source: S characters.
        written: N of them.
        attention: ``[N, S]``, each row summing to 1.
        path: the picture to write.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    drawn = figure(
        max(_CELL * len(source), _NARROWEST) + _BESIDE, max(_CELL * len(written), _LOWEST) + _BESIDE
    )
    axes = drawn.subplots()
    axes.imshow(attention.reshape(len(written), len(source)), cmap="Blues", vmin=0, vmax=1)
    axes.xaxis.tick_top()
    for place, text in ((axes.xaxis, source), (axes.yaxis, written)):
        place.set_ticks(range(len(text)), [_shown(character) for character in text])
    axes.tick_params(length=0, labelfontfamily="monospace")
    axes.set_xlabel("read", loc="left")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("written", loc="top")
    save(drawn, path)


def _shown(character: str) -> str:
    """Return a character as an axis shows it, taken for what it is."""
    return {" ": "␣", "$": r"\$"}.get(character, character)


def look_map(picture: np.ndarray, places: np.ndarray, label: str, path: Path) -> None:
    """Draw ``picture`` and on it the path of looks, numbered from 1.

    Args:
        picture: uint8 ``[H, W, 1]``.
        places: ``[T, 2]``, (y, x) in pixels.
        label: what was seen, for the title.
        path: the picture to write.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    height, width = picture.shape[:2]
    scale = _MAP / max(height, width)
    drawn = figure(max(width * scale, _NARROWEST), max(height * scale, _LOWEST) + _TITLE)
    axes = drawn.subplots()
    axes.set_axis_off()
    axes.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=255)
    axes.plot(places[:, 1], places[:, 0], color=_PATH, lw=2)
    for number, (y, x) in enumerate(places, start=1):
        axes.plot([x], [y], "o", color=_PATH, mec="white", ms=14)
        axes.text(x, y, str(number), color="white", fontsize=9, ha="center", va="center")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(label, fontsize=_LETTERS, parse_math=False)
    save(drawn, path)


def _panel(picture: np.ndarray) -> tuple[float, float]:
    """Return the inches that ``picture [H, W, 3]`` gets: in its proportions, but never too narrow
    for a word.
    """
    height, width = picture.shape[:2]
    scale = _PANEL / max(height, width)
    return max(width * scale, _NARROWEST), max(height * scale, _LOWEST)


def _letters(word: str, width: float) -> float:
    """Return the size of letters, in points, at which ``word`` fits into so many inches."""
    return min(_LETTERS, width * 72 / (_LETTER_WIDTH * max(len(word), 1)))


def _shade(light: np.ndarray) -> np.ndarray:
    """Turn ``light [R]`` into black of more or less opacity, RGBA ``[G, G, 4]``."""
    import numpy as np  # not above: the command line starts without it

    grid = math.isqrt(light.size)
    shade = np.zeros((grid, grid, 4))
    brightest = light.max() or 1.0  # nothing need have been looked at
    shade[:, :, 3] = _SHADE * (1 - light.reshape(grid, grid) / brightest)
    return shade
