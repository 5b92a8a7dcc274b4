"""``gradients.json`` and ``gradients.png`` of a run: how fast gradients vanish, at each evaluation.

Both are by-products, as the loss curve is: where they cannot be written, the run says so and goes
on without them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from edgernn import plots, storage
from edgernn.errors import StorageError, UnavailableError
from edgernn.training.progress import EvaluationReport, Silent

GRADIENTS, PLOT = "gradients.json", "gradients.png"
_MEANS = "norms[state][k - 1][layer] is the norm of d loss_t / d state_(t-k), a mean over rows"


@runtime_checkable
class HasGradients(Protocol):
    """A task that can tell how far gradients reach."""

    def gradient_norms(self) -> Mapping[str, np.ndarray]:
        """Return for each state the norm of the gradient that the loss of one step has to it k
        steps earlier, ``[K, L]``, k = 1 first: a mean over rows, for each layer.
        """


class GradientsFile(Silent):
    """Measures the gradients of ``task`` at each evaluation, writes and draws them.

    Args:
        task: what is trained.
        folder: the run's.
        tell: hears, once, of a file that cannot be written.
    """

    def __init__(self, task: HasGradients, folder: Path, tell: Callable[[str], None]) -> None:
        self._task, self._folder, self._tell = task, folder, tell
        self._broken = False

    def on_evaluation(self, report: EvaluationReport) -> None:
        """Measure, write, draw."""
        if self._broken:
            return
        norms = self._task.gradient_norms()
        path = self._folder / GRADIENTS
        rows = [row for row in read_gradients(path) if row["step"] < report.step]
        rows.append({"step": report.step, "norms": {n: v.tolist() for n, v in norms.items()}})
        try:
            storage.write_text(path, json.dumps({"means": _MEANS, "measured": rows}) + "\n")
            plots.lines(panels(norms, f"step {report.step:,}"), self._folder / PLOT)
        except (StorageError, UnavailableError) as error:
            self._broken = True
            self._tell(f"{error}; training goes on without {PLOT}")


def read_gradients(path: Path) -> list[dict[str, Any]]:
    """Return what was measured before; nothing where the file is missing or damaged."""
    try:
        rows = json.loads(path.read_bytes())["measured"]
        return [row for row in rows if isinstance(row["step"], int) and row["norms"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def panels(norms: Mapping[str, np.ndarray], title: str) -> list[plots.Panel]:
    """Return a panel for each state, with a line for each layer."""
    return [
        plots.Panel(
            f"{name}, {title}",
            range(1, len(values) + 1),
            {f"layer {layer}": values[:, layer].tolist() for layer in range(values.shape[1])},
            "k, steps back",
            "norm of the gradient",
            log=True,
        )
        for name, values in norms.items()
    ]
