"""Training on a text larger than memory allows: python benchmarks/large_corpus.py [GIGABYTES]

The text is the built-in corpus over and over, each copy with its lines in another order.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from _report import edgernn, megabytes, table

from edgernn.data.text.python_docs import read_chunks


def main() -> None:
    wanted = int(float(sys.argv[1] if len(sys.argv) > 1 else "1") * 1e9)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        text = Path(scratch) / "large.txt"
        size = write(text, wanted)
        for tokens in ("char", "byte"):
            child = edgernn(
                "train", "text", "--data", text, "--tokens", tokens, "--steps", 100,
                "--evaluations", 2, "--out", Path(scratch) / tokens,
            )  # fmt: skip
            rows.append(
                (
                    tokens,
                    f"{size / 1e9:.2f} GB",
                    "100",
                    f"{child.seconds:.0f} s",
                    megabytes(child.peak_bytes),
                )
            )
    table(("tokens", "text", "steps", "wall time, encoding included", "peak resident memory"), rows)


def write(path: Path, wanted: int) -> int:
    lines = "".join(read_chunks()).splitlines(keepends=True)
    shuffle = random.Random(0).shuffle
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < wanted:
            shuffle(lines)
            file.write("".join(lines))
        return file.tell()


if __name__ == "__main__":
    main()
