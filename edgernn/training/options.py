"""Everything that decides a run's course; saved with the run, so that resuming it needs no
option.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgernn.contract import Record
from edgernn.training.schedule import Budget


class TrainOptions(Record):
    """The options of the training loop.

    Attributes:
        budget: when the run ends.
        batch: rows of the global batch, over all processes.
        chunk: time steps through which gradients flow (truncated back-propagation through time).
        peak_rate, floor, warmup: the learning rate's largest value, its last as a share of that,
            and the share of the run that it takes to rise.
        weight_decay: AdamW's, on matrices only.
        clip: the largest norm of the whole gradient.
        evaluations: how often in a run the validation loss is measured, evenly spread.
        patience: evaluations without a better loss after which the run ends early; 0 never.
        seed: of initial weights, dropout and samples.
        mixed: bfloat16 matrix products: ``auto`` where the device multiplies bfloat16 in hardware.
        threads: of the CPU, for one process; None tries a few numbers and takes the fastest.
        gradients: measure and draw at each evaluation how far gradients reach, where the task can.
        vanishing_penalty: λ of the term that keeps gradients alive, see ``training.gradients``.
    """

    budget: Budget
    batch: int = Field(default=32, ge=1)
    chunk: int = Field(default=64, ge=1)
    peak_rate: float = Field(default=4e-3, gt=0, allow_inf_nan=False)
    floor: float = Field(default=0.02, ge=0, le=1)
    warmup: float = Field(default=0.03, gt=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    clip: float = Field(default=1.0, gt=0)
    evaluations: int = Field(default=8, ge=1)
    patience: int = Field(default=5, ge=0)
    seed: int = Field(default=0, ge=0)
    mixed: Literal["auto", "on", "off"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    gradients: bool = False
    vanishing_penalty: float = Field(default=0.0, ge=0, allow_inf_nan=False)
