"""Which cells follow a feature, how well, and how well any would by chance.

Cells are chosen and judged on different text: on the first half those are chosen whose values
correlate most with the feature; their score is the correlation over the second half, with the sign
that it had in the first. So a score can be negative, and the best of many cells is not flattered.

The **floor** is what the same procedure gives where nothing is to be found: each half of the
feature turned round by a random distance, so that it keeps its own course but no longer lines up
with what the network read; the largest of 20 best scores. A cell is **found** where its score is
0.5 or more and above the floor.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgernn.reading.features import FEATURES
from edgernn.reading.following import Following

FOUND = 0.5
_TURNS = 20
_LEAST = 1e-6  # a standard deviation below it is none


@dataclass(frozen=True)
class Scored:
    """A cell and a feature.

    Attributes:
        cell: its name.
        column: of ``Following.values``.
        score: the correlation over the second half, -1 to 1, signed as the first half had it.
        sign: of the correlation over the first half: 1 or -1.
    """

    cell: str
    column: int
    score: float
    sign: int


@dataclass(frozen=True)
class Ranking:
    """The cells that follow one feature.

    Attributes:
        feature: a key of ``FEATURES``.
        cells: chosen on the first half, the one that correlated most first.
        floor: see the module.
        lacking: why there is no ranking; empty where there is one.
    """

    feature: str
    cells: tuple[Scored, ...]
    floor: float
    lacking: str = ""

    @property
    def found(self) -> bool:
        """Whether the first cell is found."""
        best = self.cells[0].score if self.cells else 0.0
        return best >= FOUND and best > self.floor

    def as_data(self) -> dict[str, Any]:
        """Return it for a JSON document."""
        return {**asdict(self), "found": self.found}


def rank(following: Following, *, top: int = 5, seed: int = 0) -> list[Ranking]:
    """Rank the cells for every feature; ``seed`` draws the distances of the floor."""
    halves = np.array_split(np.arange(len(following.values)), 2)
    values = [_standard(following.values[half]) for half in halves]  # [N / 2, C] each
    ends, text = following.ends, following.text
    rankings = []
    for place, (name, feature) in enumerate(FEATURES.items()):
        course = feature(text)[ends]  # [N]
        parts = [course[half] for half in halves]
        if min(part.std() for part in parts) < _LEAST:
            lacking = "the text has nothing of it in one of its halves"
            rankings.append(Ranking(name, (), 0.0, lacking))
            continue
        chosen, scores, signs = _scores(values, parts, top)
        cells = tuple(
            Scored(following.name(int(c)), int(c), round(float(s), 4), int(sign))
            for c, s, sign in zip(chosen, scores, signs, strict=True)
        )
        rng = np.random.default_rng([seed, place])
        rankings.append(Ranking(name, cells, round(_floor(values, parts, rng), 4)))
    return rankings


def _scores(
    values: list[np.ndarray], parts: list[np.ndarray], top: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the cells chosen on the first part, their scores on the second, and signs."""
    first, second = (
        v.T @ _standard(part[:, None])[:, 0] / len(part)  # [C]
        for v, part in zip(values, parts, strict=True)
    )
    chosen = np.argsort(-np.abs(first), kind="stable")[:top]
    signs = np.where(first[chosen] < 0, -1, 1)
    return chosen, second[chosen] * signs, signs


def _floor(values: list[np.ndarray], parts: list[np.ndarray], rng: np.random.Generator) -> float:
    best = []
    for _ in range(_TURNS):
        turned = [np.roll(p, int(rng.integers(len(p) // 4, 3 * len(p) // 4))) for p in parts]
        best.append(float(_scores(values, turned, 1)[1][0]))
    return max(best)


def _standard(values: np.ndarray) -> np.ndarray:
    """Return ``values [N, C]`` with mean 0 and deviation 1; zeros where a column does not vary."""
    centred = values - values.mean(0)
    deviation = centred.std(0)
    scaled: np.ndarray = np.where(
        deviation > _LEAST, centred / np.maximum(deviation, _LEAST), np.float32(0)
    )
    return scaled
