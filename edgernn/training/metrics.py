"""``metrics.jsonl``, a line for every report of a run, and the loss curve that is drawn from it.

Both are by-products: where they cannot be read or written, the run says so and goes on without
them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgernn import plots, storage
from edgernn.errors import StorageError, UnavailableError
from edgernn.training.progress import EvaluationReport, Silent, StepReport

METRICS, CURVE = "metrics.jsonl", "loss.png"
_FIELDS = {
    "train": ("train_loss",),
    "validation": ("train_loss", "validation_loss"),
}  # what the curve is drawn from


class MetricsFile(Silent):
    """Appends every report to ``metrics.jsonl`` and redraws the loss curve at each evaluation.

    Args:
        folder: the run's.
        from_step: drop the lines after this step, which a killed run wrote and the resumed one
            writes again.
        tell: hears, once, of a file that cannot be written.
    """

    def __init__(
        self, folder: Path, *, from_step: int, tell: Callable[[str], None] = lambda line: None
    ) -> None:
        self._path, self._curve, self._tell = folder / METRICS, folder / CURVE, tell
        self._broken: set[Path] = set()
        kept = (
            [row for row in read_metrics(self._path) if row["step"] <= from_step]
            if from_step
            else []
        )
        text = "".join(json.dumps(row) + "\n" for row in kept)
        self._try(self._path, lambda: storage.write_text(self._path, text))

    def on_step(self, report: StepReport) -> None:
        """Append the line."""
        self._append({"kind": "train", **asdict(report)})

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Append the line and redraw."""
        self._append({"kind": "validation", **asdict(report)})
        self._try(self._curve, lambda: plots.loss_curve(read_metrics(self._path), self._curve))

    def _append(self, row: dict[str, Any]) -> None:
        def write() -> None:
            with storage.appending(self._path) as file:
                file.write(json.dumps(row) + "\n")

        self._try(self._path, write)

    def _try(self, path: Path, write: Callable[[], None]) -> None:
        if path in self._broken:
            return
        try:
            write()
        except (StorageError, UnavailableError) as error:
            self._broken.add(path)
            self._tell(f"{error}; training goes on without {path.name}")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read ``metrics.jsonl``; lines that a kill cut short, or that are no report, are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line.decode())
        except (ValueError, RecursionError):
            continue
        if _is_report(row):
            rows.append(row)
    return rows


def _is_report(row: object) -> bool:
    if (
        not isinstance(row, dict)
        or not isinstance(row.get("kind"), str)
        or row["kind"] not in _FIELDS
    ):
        return False
    if not isinstance(row.get("step"), int) or isinstance(row["step"], bool):
        return False
    if row["kind"] == "validation" and not isinstance(row.get("split"), str):
        return False
    losses = [row.get(name) for name in _FIELDS[row["kind"]]]
    return all(isinstance(loss, (int, float)) and math.isfinite(loss) for loss in losses)
