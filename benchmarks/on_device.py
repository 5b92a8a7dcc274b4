"""What the on-device half costs: memory of `edgernn generate`, and proof that torch stays out.

python benchmarks/on_device.py [BUNDLE]; without a bundle, one of the default model's size is made
first.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from _report import edgernn, megabytes, table

HEAVY = {"torch", "onnx", "coremltools", "matplotlib"}


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else make_bundle(Path(scratch))
        rows = []
        for artifact in ("onnx", "torchscript"):
            child = edgernn("generate", bundle, "--artifact", artifact, "--length", 500)
            heavy = ", ".join(sorted(HEAVY & child.modules)) or "none"
            rows.append((f"generate --artifact {artifact}", megabytes(child.peak_bytes), heavy))
        floor = edgernn("--version")
        rows.append(
            (
                "--version",
                megabytes(floor.peak_bytes),
                ", ".join(sorted(HEAVY & floor.modules)) or "none",
            )
        )
    table(("edgernn …", "peak resident memory", "heavy packages imported"), rows)


def make_bundle(scratch: Path) -> Path:
    edgernn("train", "text", "--steps", 20, "--evaluations", 1, "--out", scratch / "run")
    edgernn("export", scratch / "run", "--out", scratch / "bundle")
    return scratch / "bundle"


if __name__ == "__main__":
    main()
