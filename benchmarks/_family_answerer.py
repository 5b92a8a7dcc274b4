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
    told = ["--out", folder, "--minutes", minutes, "--json"]
    found = json.loads(edgernn("train", "ask", *told).stdout)
    alone = ExampleSet.open(folder / "examples").about
    return [
        Figure("unseen combinations", found["unseen_accuracy"], least=0.85),
        Figure("the question alone, of these", alone[UNSEEN_ALONE]),
        Figure("combinations that it saw", found["accuracy"]),
        Figure("the question alone, of these", alone[ALONE]),
    ]
