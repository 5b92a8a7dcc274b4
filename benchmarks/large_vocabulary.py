"""Exporting and verifying a model of many words: python benchmarks/large_vocabulary.py [WORDS]

The model is barely trained: time and memory of export and verify do not depend on what it has
learned.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from _report import edgernn, megabytes, table

_WORDS, _LINE = 62_000, 20
_MODEL = (
    "--hidden",
    32,
    "--layers",
    1,
    "--embedding",
    16,
    "--batch",
    2,
    "--chunk",
    8,
    "--steps",
    2,
    "--evaluations",
    1,
)
_BOTH = ("--to", "onnx", "--precision", "float32,int4", "--max-perplexity-increase", "50%")


def main() -> None:
    words = int(sys.argv[1]) if len(sys.argv) > 1 else _WORDS
    with tempfile.TemporaryDirectory() as scratch:
        text, run, bundle = (Path(scratch) / name for name in ("words.txt", "run", "bundle"))
        text.write_text(shuffled(words), encoding="utf-8")
        tokens = ("--tokens", "word", "--vocabulary", words + 100, "--minimum-count", 1)
        children = {
            "train, 2 steps": edgernn(
                "train", "text", "--data", text, *tokens, *_MODEL, "--out", run
            ),
            "export to ONNX in float32 and int4": edgernn("export", run, "--out", bundle, *_BOTH),
            "verify": edgernn("verify", bundle),
        }
        golden = (bundle / "golden.safetensors").stat().st_size
    rows = [
        (name, f"{child.seconds:.0f} s", megabytes(child.peak_bytes))
        for name, child in children.items()
    ]
    rows.append(("the recorded run, a file", "", f"{golden / 1e6:.1f} MB"))
    table((f"{words:,} words", "wall time", "peak resident memory"), rows)


def shuffled(words: int) -> str:
    """Return a text in which each word stands twice, in the same order."""
    names = [f"w{index}" for index in range(words)]
    random.Random(0).shuffle(names)
    lines = "\n".join(" ".join(names[at : at + _LINE]) for at in range(0, words, _LINE))
    return f"{lines}\n{lines}"


if __name__ == "__main__":
    main()
