"""A step as a WebAssembly module beside onnxruntime-web: python benchmarks/wasm.py [lstm64 …]

An untrained language model of two layers over 96 characters, in node (``NODE`` names another than
that on the path) and in headless Chromium; see ``wasm.mjs``. Contestants take turns in one process:
read the ratios. ``run()`` is a call of the module from JavaScript, the state in its memory;
``session.run()`` onnxruntime over tensors of its own; ``step()`` the example's, which copies the
state in and out. Needs what ``make examples-env`` installs, and the extra ``compile``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import table

from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.language import LanguageConfig, LanguageModel

MODELS = ("lstm64", "lstm256")
CHARACTERS = "".join(map(chr, range(32, 128)))
PRECISIONS = ("float32", "int8", "w8a7", "int4", "w4a8")
BASE = "onnx/step.onnx, session.run()"
SCRIPT = Path(__file__).with_suffix(".mjs")


def main() -> None:
    """Print a table for each machine."""
    rows: dict[str, list[tuple[str, ...]]] = {}
    for name in sys.argv[1:] or MODELS:
        cell, hidden = re.fullmatch(r"([a-z_]+)(\d+)", name).groups()  # type: ignore[union-attr]
        with tempfile.TemporaryDirectory() as folder:
            bundle = written(cell, int(hidden), Path(folder) / name)
            for where in ("node", "chromium"):
                found = measured(bundle, where)
                rows.setdefault(found["engine"], []).extend(ratios(name, found["rows"]))
    headings = ("model", "contestant", "min µs", "median µs", "times as fast (min)", "(median)")
    for engine, lines in rows.items():
        print(f"{engine}\n")
        table(headings, lines)


def written(cell: str, hidden: int, folder: Path) -> Path:
    """Return a bundle with modules and files of onnxruntime."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.build([CHARACTERS], "char")
    size = tokenizer.vocabulary_size
    config = LanguageConfig(vocabulary=size, cell=cell, embedding=64, hidden=hidden)
    held_out = {"tokens": np.random.default_rng(0).integers(0, size, 2000)}
    made = Checkpoint(LanguageModel(config).eval(), tokenizer, {}, held_out)
    export_bundle(
        made, folder, to=["onnx", "c"], precision=PRECISIONS, target=["wasm", "wasm-relaxed"],
        steps=8, release=True,
    )  # fmt: skip
    return folder


def measured(bundle: Path, where: str) -> dict[str, Any]:
    """Return what ``wasm.mjs`` tells."""
    command = [os.environ.get("NODE", "node"), str(SCRIPT), str(bundle), where]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"engine": f"{where}: not run, {done.stderr.strip().splitlines()[-1]}", "rows": []}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ratios(model: str, rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the table's lines: times, and how many times faster than onnxruntime's float32."""
    base = next((row for row in rows if row["name"] == BASE), None)
    return [
        (
            model, row["name"], f"{row['least']:.2f}", f"{row['median']:.2f}",
            f"{base['least'] / row['least']:.1f}", f"{base['median'] / row['median']:.1f}",
        )
        for row in rows
        if base is not None
    ]  # fmt: skip


if __name__ == "__main__":
    main()
