"""The rows of translators: numbers and dates of combinations that training never shows, with and
without attention, and with one set of weights.
"""

from __future__ import annotations

import json
from pathlib import Path

from _family_row import Figure
from _report import edgernn


def _trained(folder: Path, minutes: float, *more: str) -> float:
    told = ["--out", folder, "--minutes", minutes, "--json", *more]
    exact: float = json.loads(edgernn("train", "translate", *told).stdout)["exact"]
    return exact


def attention(folder: Path, minutes: float) -> list[Figure]:
    """Train with attention into ``folder``."""
    found = _trained(folder, minutes)
    return [Figure("unseen combinations, to the last character", found, least=0.98)]


def no_attention(folder: Path, minutes: float) -> list[Figure]:
    """Train without attention."""
    return [Figure("likewise", _trained(folder, minutes, "--no-attention"))]


def shared(folder: Path, minutes: float) -> list[Figure]:
    """Train with attention and one set of weights for reading and writing."""
    return [Figure("likewise", _trained(folder, minutes, "--shared"))]
