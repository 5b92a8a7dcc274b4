"""How low the default model's validation loss gets in three minutes: python benchmarks/training.py
[TEXT-FILE]
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from _report import corpus_argument, edgernn, megabytes, table


def main() -> None:
    data = corpus_argument()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for mixed in ("auto", "off"):
            child = edgernn(
                "train",
                "text",
                "--data",
                data,
                "--minutes",
                3,
                "--mixed",
                mixed,
                "--out",
                Path(scratch) / mixed,
                "--json",
            )
            run = json.loads(child.stdout)
            loss = f"{run['validation_loss']:.4f}"
            rows.append(
                (
                    mixed,
                    loss,
                    run["split"],
                    run["steps"],
                    f"{run['epochs']:.1f}",
                    megabytes(child.peak_bytes),
                )
            )
    table(("--mixed", "validation loss, nats/token", "on", "steps", "epochs", "peak memory"), rows)


if __name__ == "__main__":
    main()
