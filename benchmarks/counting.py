"""Whether small networks count beyond the lines they saw: python benchmarks/counting.py [STEPS]

An LSTM and a GRU of one layer are trained for STEPS (240) optimiser steps a try on lines of aⁿbⁿ
and of aⁿbⁿcⁿ, exported to ONNX, and asked for every line up to four times the longest they saw. A
line is right where every token that is decided by what stands before it is the most probable one.
Of three seeds the one that has most lines with n up to 40 right is kept.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from _report import table

from edgernn.data.text.counting import LETTERS, LONGEST
from edgernn.export import export_bundle
from edgernn.training.run_counting import train_counting
from edgernn.writing.counting import measure

CELLS = ("lstm", "gru")
TIMES = 4


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 240
    rows = []
    for data, letters in LETTERS.items():
        for cell in CELLS:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                found = train_counting(data, cell, folder, steps=steps, tell=_tell)
                export_bundle(found.run.folder, folder / "bundle", to="onnx")
                counted = measure(folder / "bundle", letters, longest=TIMES * LONGEST)
            shares = (counted.seen, counted.beyond, counted.share(3 * LONGEST + 1, 4 * LONGEST))
            wrong = counted.first_wrong or "none"
            rows.append((data, cell, found.tries, *(f"{share:.1%}" for share in shares), wrong))
    spans = (f"n 1 to {LONGEST} (trained)", f"{LONGEST + 1} to {4 * LONGEST}")
    last = f"{3 * LONGEST + 1} to {4 * LONGEST}"
    table(("lines", "cell", "seeds", *spans, last, "first wrong n"), rows)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
