"""Curves over steps, sizes and places: losses, the time of a step, and lines in panels."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgernn.plots.drawing import figure, save

_TRAIN, _VALIDATION, _BEST = "#8da9c4", "#c1440e", "#134074"
_MARKERS = "osD^vP*X<>"  # shapes: told apart without colour
_SHADES = ("#0b2545", "#c1440e", "#8da9c4")  # and these as dark, middling and light grey
_HUES, _DASHES = ("#134074", "#c1440e", "#5b8c5a", "#8da9c4"), ("-", "--", ":")
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
    drawn = figure(8, 4.5)
    axes = drawn.subplots()
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
    save(drawn, path)


def _show_all(axes: Any, losses: Sequence[float]) -> None:
    """Let the axis reach from the lowest loss, with room for its label, to the highest."""
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        room = max(max(finite) - min(finite), 0.1)
        axes.set_ylim(min(finite) - 0.14 * room, max(finite) + 0.06 * room)


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
    drawn = figure(8, 4.5)
    axes = drawn.subplots()
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
        drawn.supxlabel(below, fontsize=8, x=0.02, ha="left", parse_math=False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(
            subs=(1, 2, 5)
        )  # powers of ten alone may all lie outside
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    _plain(drawn.legend(loc="outside right upper", frameon=False, fontsize=9))
    save(drawn, path)


def lines(panels: Sequence[Panel], path: Path) -> None:
    """Draw ``panels`` side by side, each with a line for every series; lines differ by dashes too.

    Raises:
        StorageError: the file cannot be written.
        UnavailableError: matplotlib is not installed.
    """
    columns = min(len(panels), 4)
    rows = -(-len(panels) // columns)
    drawn = figure(max(5.0, 3.4 * columns), 3.2 * rows)
    for place, panel in enumerate(panels, 1):
        axes = drawn.add_subplot(rows, columns, place)
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
    save(drawn, path)


def _plain(legend: Any) -> None:
    """Show names as they are: a ``$`` in them starts no formula."""
    for text in legend.get_texts():
        text.set_parse_math(False)
