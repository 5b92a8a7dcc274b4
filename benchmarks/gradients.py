"""How far gradients reach in networks of one size, from real runs: python benchmarks/gradients.py
[STEPS [PICTURE]]

Each network of 64 units is trained for STEPS (300) optimiser steps on the built-in documentation,
with `--gradients`. Printed: the norm of ∂loss_t/∂h_{t-k}, a mean over the layers, as a share of
that at k = 1, and the validation loss. PICTURE (gradients.png) shows every layer and state.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from _report import table

from edgernn import plots
from edgernn.training.gradients_file import GRADIENTS, read_gradients
from edgernn.training.options import TrainOptions
from edgernn.training.run_text import TextSetup, train_text
from edgernn.training.schedule import Budget

NETWORKS = {
    "vanilla RNN": ({"cell": "rnn", "layers": 1}, 0.0),
    "vanilla RNN, penalty 1": ({"cell": "rnn", "layers": 1}, 1.0),
    "LSTM": ({"cell": "lstm", "layers": 1}, 0.0),
    "GRU": ({"cell": "gru", "layers": 1}, 0.0),
    "4 vanilla layers": ({"cell": "rnn", "layers": 4}, 0.0),
    "4 vanilla layers, residual": ({"cell": "rnn", "layers": 4, "between": "residual"}, 0.0),
    "4 GRU layers": ({"cell": "gru", "layers": 4}, 0.0),
    "4 GRU layers, residual": ({"cell": "gru", "layers": 4, "between": "residual"}, 0.0),
}
HIDDEN, PLACES = 64, (4, 16, 32, 64)


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rows, panels = [], []
    for name, (model, penalty) in NETWORKS.items():
        loss, norms = measured(model, penalty, steps)
        mean = norms["h"].mean(1)  # [K]
        shares = (f"{mean[k - 1] / mean[0]:.1e}" for k in PLACES)
        rows.append((name, f"{loss:.3f}", *shares))
        print(*rows[-1], file=sys.stderr, flush=True)
        panels.append(panel(name, norms))
    plots.lines(panels, Path(sys.argv[2] if len(sys.argv) > 2 else "gradients.png"))
    table(("network", "validation loss", *(f"k = {k}" for k in PLACES)), rows)


def measured(
    model: dict[str, object], penalty: float, steps: int
) -> tuple[float, dict[str, np.ndarray]]:
    """Train one; return its validation loss, and the norms ``[K, L]`` by state at the end."""
    options = TrainOptions(
        budget=Budget(unit="steps", amount=steps),
        evaluations=1,
        gradients=True,
        vanishing_penalty=penalty,
        peak_rate=2e-3,
    )
    setup = TextSetup(model={**model, "hidden": HIDDEN, "embedding": HIDDEN})
    with tempfile.TemporaryDirectory() as scratch:
        run = train_text("python-docs", Path(scratch) / "run", options=options, setup=setup)
        (*_, last) = read_gradients(run.folder / GRADIENTS)
    assert run.validation_loss is not None
    return run.validation_loss, {name: np.array(v) for name, v in last["norms"].items()}


def panel(name: str, norms: dict[str, np.ndarray]) -> plots.Panel:
    """Return a panel with a line for each state and layer."""
    series = {
        f"{state} layer {layer}": np.maximum(values[:, layer], 1e-12).tolist()
        for state, values in norms.items()
        for layer in range(values.shape[1])
    }
    places = range(1, 1 + len(next(iter(norms.values()))))
    return plots.Panel(name, places, series, "k, steps back", "norm", log=True)


if __name__ == "__main__":
    main()
