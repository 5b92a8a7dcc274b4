"""How far exported files are from the reference over a chained run: python benchmarks/parity.py
[TEXT-FILE]

Each model is trained for a few hundred steps first: parity of random weights says little of trained
ones.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from _report import corpus_argument, table

import edgernn
from edgernn.export import export_bundle
from edgernn.training.options import TrainOptions
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget

TRAIN_STEPS, ROLLOUT_STEPS, GREEDY_TOKENS = 300, 256, 1000


def main() -> None:
    data, rows = corpus_argument(), []
    for cell in ("lstm", "gru", "rnn"):
        for layers in (1, 3):
            with tempfile.TemporaryDirectory() as scratch:
                rows += measure(data, Path(scratch), cell=cell, layers=layers)
    table(
        (
            "cell",
            "layers",
            "loss",
            "format",
            f"worst absolute difference, {ROLLOUT_STEPS} steps",
            "in",
            f"greedy of {GREEDY_TOKENS}",
        ),
        rows,
    )


def measure(data: str, scratch: Path, *, cell: str, layers: int) -> list[tuple[object, ...]]:
    rate = 1e-3 if cell == "rnn" else 4e-3
    options = TrainOptions(
        budget=Budget(unit="steps", amount=TRAIN_STEPS), evaluations=1, peak_rate=rate
    )
    setup = TextSetup(model={"cell": cell, "layers": layers, "hidden": 256})
    run = train_text(data, scratch / "run", options=options, setup=setup)
    bundle = export_bundle(scratch / "run", scratch / "bundle", to=["onnx", "torchscript"])
    rollout = edgernn.verify_bundle(bundle, steps=ROLLOUT_STEPS)
    greedy = edgernn.verify_bundle(bundle, steps=GREEDY_TOKENS)
    rows: list[tuple[object, ...]] = []
    for short, long in zip(rollout.artifacts, greedy.artifacts, strict=True):
        drift = next(check.measured for check in short.checks if check.name == "rollout")
        same = next(check.measured for check in long.checks if check.name == "greedy")
        tensor, worst = max(drift["worst_by_tensor"].items(), key=lambda item: item[1])
        loss = f"{run.validation_loss:.2f}"
        rows.append(
            (
                cell,
                layers,
                loss,
                short.format,
                f"{worst:.1e}",
                tensor,
                f"{same['identical']} identical",
            )
        )
    return rows


if __name__ == "__main__":
    main()
