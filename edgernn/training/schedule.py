"""How far a run has come, and the learning rate there."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from edgernn.contract import Record


class Budget(Record):
    """When a run ends: after so many minutes of training, optimiser steps or passes over the
    corpus.
    """

    unit: Literal["minutes", "steps", "epochs"]
    amount: float = Field(gt=0)

    def progress(self, *, step: int, epochs: float, seconds: float) -> float:
        """Return the share of the budget that is used, from 0; 1 or more ends the run."""
        used = {"minutes": seconds / 60, "steps": float(step), "epochs": epochs}[self.unit]
        return used / self.amount

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit}"


def learning_rate(progress: float, *, peak: float, warmup: float, floor: float) -> float:
    """Return the learning rate: linear warm-up, then half a cosine (Loshchilov & Hutter 2017,
    without restarts).

    Args:
        progress: share of the run that is done, 0 to 1.
        peak: the largest rate.
        warmup: share of the run over which the rate rises to ``peak``.
        floor: the last rate, as a share of ``peak``.
    """
    progress = min(max(progress, 0.0), 1.0)
    if progress < warmup:
        return peak * max(progress, warmup / 100) / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))
    return peak * (floor + (1 - floor) * cosine)
