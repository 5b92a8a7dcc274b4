"""The row of glimpses: cluttered digits, and one look at a random place beside six that the network
chooses.
"""

from __future__ import annotations

import json
from pathlib import Path

from _family_row import Figure
from _report import edgernn


def digits(folder: Path, minutes: float) -> list[Figure]:
    """Train on cluttered digits into ``folder``."""
    told = ["--out", folder, "--minutes", minutes, "--json"]
    found: dict[str, float] = json.loads(edgernn("train", "glimpse", *told).stdout)
    return [
        Figure("held-out digits, 6 looks", found["accuracy"], least=0.9),
        Figure("one look at a random place", found["one_random_look"]),
    ]
