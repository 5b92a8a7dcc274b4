"""How long exporting the default model in every format takes, and the command line's start: python
benchmarks/export_time.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _report import edgernn, table


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        run, bundle = Path(scratch) / "run", Path(scratch) / "bundle"
        edgernn("train", "text", "--steps", 20, "--evaluations", 1, "--out", run)
        export = edgernn("export", run, "--out", bundle)
        verify = edgernn("verify", bundle)
    helps = [edgernn("--help") for _ in range(5)]
    start = sorted(child.seconds for child in helps)[len(helps) // 2]
    heavy = {"torch", "onnx", "coremltools", "onnxruntime", "numpy"} & helps[0].modules
    rows = [
        ("edgernn export, every format", f"{export.seconds:.1f} s", ""),
        ("edgernn verify, every format", f"{verify.seconds:.1f} s", ""),
        (
            "edgernn --help, median of 5",
            f"{start:.2f} s",
            f"heavy packages imported: {sorted(heavy) or 'none'}",
        ),
    ]
    table(("command", "wall time", ""), rows)


if __name__ == "__main__":
    main()
