"""The row of questions about pictures: drawn scenes, of combinations that training never shows,
beside what the question alone answers.
"""

from __future__ import annotations

import json
from pathlib import Path

from _family_row import Figure
from _report import edgernn

from edgernn.data.examples import ExampleSet
from edgernn.training.ask_examples import ALONE, UNSEEN_ALONE


def scenes(folder: Path, minutes: float) -> list[Figure]:
    """Train on questions about drawn scenes into ``folder``."""
    found = _trained(folder, minutes)
    alone = ExampleSet.open(folder / "examples").about
    return [
        Figure("unseen combinations", found["unseen_accuracy"], least=0.85),
        Figure("the question alone, of these", alone[UNSEEN_ALONE]),
        Figure("combinations that it saw", found["accuracy"]),
        Figure("the question alone, of these", alone[ALONE]),
    ]


def one_vector(folder: Path, minutes: float) -> list[Figure]:
    """Train those that see the picture as one vector, each within ``minutes``, to compare."""
    found = {join: _trained(folder / join, minutes, join) for join in ("concatenate", "multiply")}
    return [
        Figure(f"{join}: {what}", each[name])
        for join, each in found.items()
        for what, name in (
            ("unseen combinations", "unseen_accuracy"),
            ("combinations that it saw", "accuracy"),
        )
    ]


def _trained(folder: Path, minutes: float, join: str = "attention") -> dict[str, float]:
    told = ["--out", folder, "--minutes", minutes, "--join", join, "--json"]
    found: dict[str, float] = json.loads(edgernn("train", "ask", *told).stdout)
    return found
