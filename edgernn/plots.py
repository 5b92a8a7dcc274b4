"""Every picture that edgernn draws, as PNG files; matplotlib is imported when the first one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgernn import storage
from edgernn.errors import UnavailableError

_TRAIN, _VALIDATION, _BEST = "#8da9c4", "#c1440e", "#134074"


def loss_curve(metrics: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw the losses of ``metrics.jsonl`` over steps, the best validation loss marked with its value.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnavailableError("drawing needs matplotlib; run: pip install 'edgernn[train]'") from error
    train = [row for row in metrics if row["kind"] == "train"]
    validation = [row for row in metrics if row["kind"] == "validation"]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([r["step"] for r in train], [r["train_loss"] for r in train], color=_TRAIN, lw=1, label="training")
    if validation:
        steps, losses = [r["step"] for r in validation], [r["validation_loss"] for r in validation]
        axes.plot(steps, losses, color=_VALIDATION, lw=2, marker="o", ms=4, label=f"validation: {validation[-1]['split']}")
        best = min(validation, key=lambda row: row["validation_loss"])
        axes.annotate(
            f"{best['validation_loss']:.3f}",
            (best["step"], best["validation_loss"]),
            textcoords="offset points",
            xytext=(0, -14),
            ha="center",
            color=_BEST,
        )
        axes.set_ylim(min(losses + [r["train_loss"] for r in train]) - 0.15, max(losses[0], losses[-1]) + 0.5)
    axes.set_xlabel("optimiser step")
    axes.set_ylabel("loss, nats per token")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with storage.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
