"""Make the two bundles that the examples are tried on: python runtime_examples/make_bundles.py FOLDER

FOLDER/text: a small language model of the documentation that ships with Python. FOLDER/captions: a captioner of drawn scenes.
Both are trained for seconds, so what they write is not good; it is the same in every example, and that is the point.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TRAIN = {
    "text": ["text", "--data", "python-docs", "--hidden", "128", "--steps", "300", "--evaluations", "2"],
    "captions": ["captions", "--data", "scenes", "--steps", "120", "--evaluations", "1"],
}
EXPORT = ["--to", "onnx", "--precision", "float32,int8", "--max-perplexity-increase", "2%"]


def main() -> None:
    """Train and export what is not there yet."""
    folder = Path(sys.argv[1])
    for name, training in TRAIN.items():
        run, bundle = folder / f"{name}-run", folder / name
        if (bundle / "manifest.json").exists():
            continue  # made before; take the folder away to make it again
        if not (run / "config.json").exists():
            edgernn("train", *training, "--out", str(run))
        edgernn("export", str(run), "--out", str(bundle), *EXPORT)


def edgernn(*arguments: str) -> None:
    """Run a command of edgernn in this environment."""
    subprocess.run([sys.executable, "-m", "edgernn", *arguments], check=True)


if __name__ == "__main__":
    main()
