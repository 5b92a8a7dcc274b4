"""Trains each family on its built-in data within its budget and prints what it reaches:
``python benchmarks/families.py [ROW …] [--out FOLDER]``. Exit code 1: something is not reached.

A new family is one file ``_family_NAME.py`` and one row here.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from _family_row import Figure
from _report import table


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        title: in words.
        minutes: the budget.
        measure: ``module:function`` that trains into a new folder within so many minutes, and
            returns its figures.
    """

    title: str
    minutes: float
    measure: str


ROWS = {
    "glimpses": Row("glimpses, cluttered digits", 6, "_family_glimpses:digits"),
    "painter": Row("painter, digits", 6, "_family_painter:digits"),
    "strokes": Row("painter, digits in strokes", 6, "_family_painter:strokes"),
    "classifier": Row("classifier, generated reviews", 2, "_family_classifier:reviews"),
    "classifier-frames": Row(
        "classifier, generated sensor events", 2, "_family_classifier:sensor_events"
    ),
    "answerer": Row("answerer, questions about drawn scenes", 4, "_family_answerer:scenes"),
    "answerer-one-vector": Row(
        "answerer, one vector of the picture", 4, "_family_answerer:one_vector"
    ),
    "tagger": Row("tagger, drawn clips", 4, "_family_tagger:clips"),
    "tagger-words": Row("tagger, generated sentences", 1, "_family_tagger:sentences"),
    "translator": Row("translator, numbers and dates", 4, "_family_translator:attention"),
    "translator-no-attention": Row(
        "translator, without attention", 4, "_family_translator:no_attention"
    ),
    "translator-shared": Row("translator, one set of weights", 4, "_family_translator:shared"),
}


def measured(name: str, folder: Path) -> list[list[str]]:
    """Measure one row; return the lines of the table."""
    row = ROWS[name]
    module, _, function = row.measure.partition(":")
    measure: Callable[[Path, float], list[Figure]] = getattr(
        importlib.import_module(module), function
    )
    began = time.perf_counter()
    figures = measure(folder, row.minutes)
    took = f"{time.perf_counter() - began:.0f} s"
    lines = []
    for place, figure in enumerate(figures):
        first = [row.title, f"{row.minutes:g} min", took] if not place else ["", "", ""]
        told = f"{figure.found:.1%}" + ("" if figure.reached else " (not reached)")
        lines.append([*first, figure.what, figure.wanted, told])
    return lines


def main() -> None:
    """Measure the rows that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no row {min(unknown)}; there are {', '.join(ROWS)}")
    with tempfile.TemporaryDirectory() as scratch:
        kept = options.out or Path(scratch)
        lines = [line for name in options.rows or ROWS for line in measured(name, kept / name)]
    table(["family", "budget", "all of it", "figure", "must be", "measured"], lines)
    sys.exit(any("not reached" in line[-1] for line in lines))


if __name__ == "__main__":
    main()
