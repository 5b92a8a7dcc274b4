"""What a model says of something that it reads step by step: probabilities after each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Running:
    """What a model says of one thing after each of T steps.

    Attributes:
        labels: the names of the C labels.
        running: ``[T, C]``, the probabilities after each step; the last ones count.
    """

    labels: tuple[str, ...]
    running: np.ndarray

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[int(self.running[-1].argmax())]

    @property
    def probability(self) -> float:
        """That of ``label``."""
        return float(self.running[-1].max())

    def to_record(self) -> dict[str, Any]:
        """Return what a line of JSON says of it."""
        shares = zip(self.labels, self.running[-1].tolist(), strict=True)
        return {
            "label": self.label,
            "probability": self.probability,
            "probabilities": dict(shares),
        }
