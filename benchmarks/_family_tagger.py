"""The rows of taggers: drawn clips beside what the same network reaches that sees each frame alone,
and generated sentences beside a table of words.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from _family_row import Figure
from _report import edgernn

from edgernn.data.clips import sentences as generated
from edgernn.models.layered.description import NetworkConfig
from edgernn.training.options import TrainOptions
from edgernn.training.run_examples import train_examples
from edgernn.training.tag import TagKind, TagSetup
from edgernn.training.tag_sources import TagData


class _FramesAlone(TagKind):
    """The tagger without its recurrent layer."""

    def network(self, *given: Any) -> NetworkConfig:
        """See ``Kind.network``."""
        made = super().network(*given).model_dump()
        layers = [layer for layer in made["layers"] if layer["name"] != "rnn"]
        layers[-1]["inputs"] = ["vector"]
        return NetworkConfig.model_validate({**made, "layers": layers})


def clips(folder: Path, minutes: float) -> list[Figure]:
    """Train on the drawn clips into ``folder``, then the same without a recurrent layer."""
    folder.mkdir(parents=True, exist_ok=True)
    found = _trained(folder / "clips", "clips", minutes)
    options = TrainOptions.model_validate(
        {"budget": {"unit": "minutes", "amount": minutes / 2}, "batch": 32, "peak_rate": 3e-3}
    )
    alone = train_examples(
        _FramesAlone(), TagData(), folder / "alone", options=options, setup=TagSetup()
    )
    return [
        Figure("frames, held out", found, least=0.95),
        Figure("each frame alone, half the time", alone.measured["accuracy"]),
    ]


def sentences(folder: Path, minutes: float) -> list[Figure]:
    """Train on the generated sentences into ``folder``, then count the tags of each word."""
    found = _trained(folder, "sentences", minutes)
    return [Figure("words, held out", found), Figure("each word's commonest tag", _table())]


def _trained(folder: Path, data: str, minutes: float) -> float:
    told = ["--data", data, "--out", folder, "--minutes", minutes, "--json"]
    found: dict[str, float] = json.loads(edgernn("train", "tag", *told).stdout)
    return found["accuracy"]


def _table() -> float:
    """Return the share of words whose tag is the commonest that the word has in training."""
    tags: dict[str, Counter[str]] = defaultdict(Counter)
    train, kept = (
        generated.make_sentences(split, generated.SPLITS[split])
        for split in ("train", "validation")
    )
    for row in train:
        for word, tag in row:
            tags[word][tag] += 1
    pairs = [pair for row in kept for pair in row]
    right = sum(tags[word].most_common(1)[0][0] == tag for word, tag in pairs if word in tags)
    return right / len(pairs)
