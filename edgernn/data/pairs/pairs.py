"""Pairs of texts in two parts, and the draw of them."""

from __future__ import annotations

from dataclasses import dataclass

NUMBERS, DATES, BOTH = "numbers", "dates", "both"
PAIRS = (NUMBERS, DATES, BOTH)  # that are built in
Pair = tuple[str, str]  # what is read, what is written


@dataclass(frozen=True)
class Pairs:
    """Pairs to train on, and others to measure with.

    Attributes:
        train, validation: the two parts; no source of one is in the other.
        source: where they are from, in words.
    """

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    source: str
