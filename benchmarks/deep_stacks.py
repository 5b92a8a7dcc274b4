"""Prints what plain, residual and highway stacks of each depth reach in the same number of steps:
``python benchmarks/deep_stacks.py [--data TEXT] [--depths 2,12] [--steps 400]``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from edgernn.models.between import BETWEEN

SHAPE = ("--hidden", "64", "--embedding", "64", "--batch", "16", "--chunk", "32")


def trained(data: str, between: str, layers: int, steps: int, cell: str) -> dict[str, float]:
    """Train one stack by the command; return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "edgernn", "train", "text", "--data", data]
        command += ["--between", between, "--layers", str(layers), "--steps", str(steps)]
        command += ["--cell", cell, *SHAPE, "--evaluations", "1", "--threads", "1", "--json"]
        out = str(Path(folder, "run"))
        made = subprocess.run([*command, "--out", out], stdout=subprocess.PIPE, check=True)
        result: dict[str, float] = json.loads(made.stdout)
        return result


def main() -> None:
    """Parse the options and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="python-docs")
    parser.add_argument("--depths", default="2,12")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--cell", default="lstm")
    options = parser.parse_args()
    print("| layers | between | parameters | validation loss | seconds |\n|---|---|---|---|---|")
    for layers in map(int, options.depths.split(",")):
        for between in BETWEEN:
            run = trained(options.data, between, layers, options.steps, options.cell)
            loss, took = f"{run['validation_loss']:.3f}", f"{run['seconds']:.0f}"
            print(f"| {layers} | {between} | {run['parameters']:,} | {loss} | {took} |", flush=True)


if __name__ == "__main__":
    main()
