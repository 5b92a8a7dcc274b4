"""Every picture that edgernn draws, as PNG, PDF or SVG; matplotlib is imported when the first one
is drawn.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgernn import storage
from edgernn.errors import UnavailableError, UsageError
from edgernn.formats.installed import install_command
from edgernn.wording import expected_one_of

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
_TRAIN, _VALIDATION, _BEST = "#8da9c4", "#c1440e", "#134074"
_MARKERS = "osD^vP*X<>"  # shapes: told apart without colour
_SHADES = ("#0b2545", "#c1440e", "#8da9c4")  # and these as dark, middling and light grey
_HUES, _DASHES = ("#134074", "#c1440e", "#5b8c5a", "#8da9c4"), ("-", "--", ":")
_SUFFIXES = (".png", ".pdf", ".svg")
_DOTTED = 30  # points of a line up to which each is shown
_NOTE_LETTERS = 110  # in a line below the axis
_ROOM = 1.6  # of an axis on either side of the outermost points, as a factor


@dataclass(frozen=True)
class Panel:
    """One panel of ``lines``: ``series`` by name over ``x``, each of its length."""

    title: str
    x: Sequence[float]
    series: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    log: bool = False


def loss_curve(metrics: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the losses of ``metrics.jsonl`` over steps, the best validation loss marked with its
    value.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    validation = [row for row in metrics if row["kind"] == "validation"]
    train = [row for row in metrics if row["kind"] == "train"]
    train = train or [
        row for row in validation if "train_loss" in row
    ]  # a short run has no rows of training alone
    figure = _figure(8, 4.5)
    axes = figure.subplots()
    marker = "." if len(train) < _DOTTED else None  # a line through one point is none
    axes.plot(
        [r["step"] for r in train],
        [r["train_loss"] for r in train],
        color=_TRAIN,
        lw=1,
        marker=marker,
        label="training",
    )
    if validation:
        steps, losses = [r["step"] for r in validation], [r["validation_loss"] for r in validation]
        axes.plot(
            steps,
            losses,
            color=_VALIDATION,
            lw=2,
            marker="o",
            ms=4,
            label=f"validation: {validation[-1]['split']}",
        )
        best = min(validation, key=lambda row: row["validation_loss"])
        axes.annotate(
            f"{best['validation_loss']:.3f}",
            (best["step"], best["validation_loss"]),
            textcoords="offset points",
            xytext=(0, -14),
            ha="center",
            color=_BEST,
        )
    _show_all(axes, [r["train_loss"] for r in train] + [r["validation_loss"] for r in validation])
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel(f"loss, nats per {metrics[-1].get('unit', 'token') if metrics else 'token'}")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _plain(axes.legend(frameon=False))
    _save(figure, path)


def _show_all(axes: Any, losses: Sequence[float]) -> None:
    """Let the axis reach from the lowest loss, with room for its label, to the highest."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        room = max(max(finite) - min(finite), 0.1)
        axes.set_ylim(min(finite) - 0.14 * room, max(finite) + 0.06 * room)


def _plain(legend: Any) -> None:
    """Show names as they are: a ``$`` in them starts no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def step_times(
    steps: Sequence[tuple[str, int, float]],
    path: Path,
    *,
    bytes_per_ms: float,
    notes: Sequence[str] = (),
) -> None:
    """Draw the time of a step over the size of the file, with the line below which no file comes
    that is read whole.

    Args:
        steps: for each artifact its name, the bytes of its file and the milliseconds of a step; at
            least one.
        path: the picture to write.
        bytes_per_ms: how fast the memory is read.
        notes: lines to stand below the axis.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    figure = _figure(8, 4.5)
    axes = figure.subplots()
    for index, (name, size_bytes, milliseconds) in enumerate(steps):
        shape, shade = _MARKERS[index % len(_MARKERS)], _SHADES[index % len(_SHADES)]
        axes.plot(
            size_bytes / 1e6,
            milliseconds,
            shape,
            color=shade,
            mec="black",
            mew=0.8,
            ms=10,
            ls="none",
            label=name,
        )
    sizes = [size_bytes for _, size_bytes, _ in steps]
    ends = [min(sizes) / _ROOM, max(sizes) * _ROOM]
    floor = f"whole file read at {bytes_per_ms / 1e6:.1f} GB/s"
    axes.plot(
        [end / 1e6 for end in ends],
        [end / bytes_per_ms for end in ends],
        "--",
        color="black",
        lw=1.2,
        label=floor,
    )
    axes.set(xscale="log", yscale="log", ylabel="median step, ms")
    axes.set_xlabel("file, MB")
    below = "\n".join(line for note in notes for line in textwrap.wrap(note, _NOTE_LETTERS))
    if below:
        figure.supxlabel(below, fontsize=8, x=0.02, ha="left", parse_math=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(
            subs=(1, 2, 5)
        )  # powers of ten alone may all lie outside
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _plain(figure.legend(loc="outside right upper", frameon=False, fontsize=9))
    _save(figure, path)


def lines(panels: Sequence[Panel], path: Path) -> None:
    """Draw ``panels`` side by side, each with a line for every series; lines differ by dashes too.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    figure = _figure(max(5.0, 3.4 * columns), 3.2 * rows)
    for place, panel in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, place)
        for index, (name, values) in enumerate(panel.series.items()):
            hue, dash = index % len(_HUES), index // len(_HUES) % len(_DASHES)
            axes.plot(panel.x, values, ls=_DASHES[dash], color=_HUES[hue], lw=1.4, label=name)
        axes.set(yscale="log" if panel.log else "linear", xlabel=panel.x_label)
        axes.set_ylabel(panel.y_label)
        axes.set_title(panel.title, fontsize=10, parse_math=False)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        if len(panel.series) > 1:
            _plain(axes.legend(frameon=False, fontsize=8))
    _save(figure, path)


def check_available(path: Path | None = None) -> None:
    """For those who work long before they draw.

    Raises:
        UnavailableError: matplotlib is not installed.
        UsageError: the name of ``path`` ends in what is no kind of picture that can be drawn.
    """
    if path is not None:
        _kind_of(path)
    _figure(1, 1)


def _kind_of(path: Path) -> str:
    """Return the kind of picture that a name asks for."""
    suffix = path.suffix.lower()
    if suffix not in _SUFFIXES:
        shown = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise UsageError(f"the picture {path} {shown}; {expected_one_of(suffix, _SUFFIXES)}")
    return suffix[1:]


def attention_map(
    picture: np.ndarray, words: Sequence[str], attention: np.ndarray, path: Path
) -> None:
    """Draw ``picture``, then once per word with what the word was not written from in the shade.

    Args:
        picture: uint8 ``[H, W, 3]``; the regions tile it, so they are stretched as it was for the
            model.
        words: N of them; none draws the picture alone.
        attention: ``[N, R]``, R a square number, each row summing to 1; the brightest region of a
            row is shown in full light.
        path: the picture to write.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    columns = min(len(words) + 1, _COLUMNS)
    rows = -(-(len(words) + 1) // columns)
    width, height = _panel(picture)
    figure = _figure(width * columns, (height + _TITLE) * rows)
    places = figure.subplots(rows, columns, squeeze=False).ravel()
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
    _save(figure, path)


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
    figure = _figure(
        max(_CELL * len(source), _NARROWEST) + _BESIDE, max(_CELL * len(written), _LOWEST) + _BESIDE
    )
    axes = figure.subplots()
    axes.imshow(attention.reshape(len(written), len(source)), cmap="Blues", vmin=0, vmax=1)
    axes.xaxis.tick_top()
    for place, text in ((axes.xaxis, source), (axes.yaxis, written)):
        place.set_ticks(range(len(text)), [_shown(character) for character in text])
    axes.tick_params(length=0, labelfontfamily="monospace")
    axes.set_xlabel("read", loc="left")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("written", loc="top")
    _save(figure, path)


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
    figure = _figure(max(width * scale, _NARROWEST), max(height * scale, _LOWEST) + _TITLE)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=255)
    axes.plot(places[:, 1], places[:, 0], color=_VALIDATION, lw=2)
    for number, (y, x) in enumerate(places, start=1):
        axes.plot([x], [y], "o", color=_VALIDATION, mec="white", ms=14)
        axes.text(x, y, str(number), color="white", fontsize=9, ha="center", va="center")
    axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    axes.set_title(label, fontsize=_LETTERS, parse_math=False)
    _save(figure, path)


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
    shade[:, :, 3] = _SHADE * (1 - light.reshape(grid, grid) / light.max())
    return shade


def _figure(width: float, height: float) -> Any:
    """Return an empty figure of so many inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnavailableError(
            f"drawing needs matplotlib; run: {install_command('images')}"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    kind = _kind_of(path)
    with storage.replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing"
        )  # of a script that the font lacks: a box is drawn
        figure.savefig(temporary, format=kind, dpi=120)
