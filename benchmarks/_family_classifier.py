"""The rows of classifiers: generated reviews beside what a bag of their words reaches, and
generated clips of a sensor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from _family_row import Figure
from _report import edgernn
from torch import nn

from edgernn.data.examples import TRAIN, VALIDATION
from edgernn.data.labelled.sets import read_set

_ROUNDS = 300


def reviews(folder: Path, minutes: float) -> list[Figure]:
    """Train on the generated reviews into ``folder``, then fit bags of their words."""
    result = _trained(folder, "reviews", minutes)
    bags = {words: _bag_of_words(words) for words in (1, 2)}
    return [
        Figure("held out, unseen combinations", result["accuracy"], least=0.97),
        Figure("bag of words", bags[1], most=0.85),
        Figure("bag of words and pairs of words", bags[2]),
    ]


def sensor_events(folder: Path, minutes: float) -> list[Figure]:
    """Train on the generated clips into ``folder``."""
    return [Figure("held out", _trained(folder, "sensor-events", minutes)["accuracy"])]


def _trained(folder: Path, data: str, minutes: float) -> dict[str, float]:
    told = ["--data", data, "--out", folder, "--minutes", minutes, "--json"]
    found: dict[str, float] = json.loads(edgernn("train", "classify", *told).stdout)
    return found


def _bag_of_words(longest: int) -> float:
    """Return the accuracy on the validation part of logistic regression on how often each run of up
    to ``longest`` words occurs, fitted to the training part.
    """
    found = read_set("reviews")
    texts = {split: [_runs(str(t), longest) for t in p.items] for split, p in found.parts.items()}
    places = {run: at for at, run in enumerate(sorted({r for own in texts[TRAIN] for r in own}))}

    def counts(split: str) -> torch.Tensor:
        made = torch.zeros(len(texts[split]), len(places))
        for row, runs in zip(made, texts[split], strict=True):
            for run in runs:
                if run in places:
                    row[places[run]] += 1
        return made

    given, wanted = counts(TRAIN), torch.from_numpy(found.parts[TRAIN].target).float()
    torch.manual_seed(0)
    model = nn.Linear(len(places), 1)
    optimiser = torch.optim.Adam(model.parameters(), 0.02, weight_decay=1e-4)
    for _ in range(_ROUNDS):
        loss = nn.functional.binary_cross_entropy_with_logits(model(given)[:, 0], wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    said = model(counts(VALIDATION))[:, 0] > 0
    return float((said.numpy() == found.parts[VALIDATION].target).mean())


def _runs(text: str, longest: int) -> Sequence[str]:
    words = re.findall(r"\w+", text.lower())
    return [
        " ".join(words[at : at + count])
        for count in range(1, longest + 1)
        for at in range(len(words) - count + 1)
    ]
