"""Make the bundles that the examples are tried on: python runtime_examples/make_bundles.py FOLDER

FOLDER/text: a small language model of the documentation that ships with Python;
FOLDER/text.edgernn: the same in one file; FOLDER/captions: a captioner of drawn scenes;
FOLDER/byte, word, bpe: a tiny model of each other kind of tokens. All are trained for seconds, so
what they write is not good; it is the same in every example, and that is the point.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edgernn.bundle import pack

TINY = [
    "--data",
    "python-docs",
    "--hidden",
    "32",
    "--layers",
    "1",
    "--steps",
    "30",
    "--evaluations",
    "1",
]
TRAIN = {
    "text": [
        "text",
        "--data",
        "python-docs",
        "--hidden",
        "128",
        "--steps",
        "300",
        "--evaluations",
        "2",
    ],
    "captions": ["captions", "--data", "scenes", "--steps", "120", "--evaluations", "1"],
    "byte": ["text", "--tokens", "byte", *TINY],
    "word": ["text", "--tokens", "word", "--vocabulary", "2000", *TINY],
    "bpe": ["text", "--tokens", "bpe", "--vocabulary", "600", *TINY],
}
REDUCED = ["--to", "onnx", "--precision", "float32,int8", "--max-perplexity-increase", "2%"]
EXPORT = {"text": [*REDUCED, "--in-graph"], "captions": REDUCED}
FLOAT32 = ["--to", "onnx", "--release"]


def main() -> None:
    """Train and export what is not there yet."""
    folder = Path(sys.argv[1])
    for name, training in TRAIN.items():
        run, bundle = folder / f"{name}-run", folder / name
        if (bundle / "manifest.json").exists():
            continue  # made before; take the folder away to make it again
        if not (run / "config.json").exists():
            edgernn("train", *training, "--out", str(run))
        edgernn("export", str(run), "--out", str(bundle), *EXPORT.get(name, FLOAT32))
    pack(folder / "text", folder / "text.edgernn")


def edgernn(*arguments: str) -> None:
    """Run a command of edgernn in this environment."""
    subprocess.run([sys.executable, "-m", "edgernn", *arguments], check=True)


if __name__ == "__main__":
    main()
