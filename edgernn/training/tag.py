"""``edgernn train tag``: a label for each frame of a clip, or each word of a sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from edgernn.contract.spec import Size
from edgernn.data.clips.tagged import Tagged, TaggedFrames, label_ids, label_names
from edgernn.data.examples import ExampleSet
from edgernn.data.text.spaced import spaced_pipeline
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.families.examples import LENGTHS, NOTHING, TARGET
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.over_time import CellName, Stack
from edgernn.training.kinds import EXAMPLES, Kind, Setup
from edgernn.training.labels import LabelObjective
from edgernn.training.tag_network import (
    FRAMES,
    TOKENS,
    channels_for,
    described,
    frame_layers,
    word_layers,
)
from edgernn.training.tag_sources import TagData, sequences_of

_UNKNOWN = "<unk>"
_HIDDEN, _SEED = 0.03, 0  # the share of words that training does not know
_HELD_OUT_STEPS = 3000  # of the held-out sample, or a little more
_MOST_DELAY = 64


class TagSetup(Setup, Stack):
    """The network of a tagger.

    Attributes:
        channels: of the convolutions over a frame, each of which halves the picture; None takes
            as many as make it small.
        features: the width of a frame's vector.
        embedding: the width of a word's vector.
        delay: by how many steps the label of a step is late.
    """

    command: Literal["tag"] = "tag"
    cell: CellName = "gru"
    channels: tuple[Size, ...] | None = None
    features: Size = 64
    embedding: Size = 32
    delay: int = Field(default=0, ge=0, le=_MOST_DELAY)


class TagKind(Kind[TagData, TagSetup]):
    """A tagger; what its steps are, frames or words, is found in the data."""

    command = "tag"
    lower = "--batch, --hidden or --channels"
    setup = TagSetup

    def check(self, data: TagData, setup: TagSetup) -> None:
        """See ``Kind.check``."""
        setup.described("rnn", "vector", maps=setup.over_maps)

    def prepare(
        self, data: TagData, out: Path, *, setup: TagSetup, tell: Callable[[str], None]
    ) -> None:
        """See ``Kind.prepare``."""
        train, kept = sequences_of(data)
        pictured = isinstance(train, TaggedFrames)
        setup.described("rnn", "vector", maps=pictured and setup.over_maps)
        names = label_names(train.labels)
        tell(
            f"{train.source}: {len(train.labels)} sequences of {train.steps} steps to train on, "
            f"{len(kept.labels)} of {kept.steps} to validate on, {len(names)} labels"
        )
        about: dict[str, Any] = {"labels": list(names)}
        name, read = FRAMES, _frames
        if isinstance(train, TaggedFrames):
            about["frame"] = list(train.sequences[0].shape[1:])
        else:
            vocabulary = _vocabulary(train, data.minimum_count)
            library = spaced_pipeline(vocabulary, unknown=_UNKNOWN)
            Tokenizer.from_json(library.to_str(pretty=True)).save(out / checkpoint.TOKENIZER)
            train, name, read = _hidden(train), TOKENS, partial(_ids, vocabulary)
        parts = {}
        for split, part in (("train", train), ("validation", kept)):
            labels = label_ids(part.labels, names, source=part.source)
            parts[split] = _arrays(name, read(part), labels, setup.delay)
        ragged = dict.fromkeys((name, TARGET), LENGTHS)
        ExampleSet.write(out / EXAMPLES, parts, source=train.source, ragged=ragged, about=about)
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, _held_out(parts["validation"]))

    def network(
        self, setup: TagSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> NetworkConfig:
        """See ``Kind.network``."""
        if tokenizer is not None:
            layers, sizes = word_layers(setup.embedding), {"vocab": tokenizer.vocabulary_size}
        else:
            height, width, channels = examples.about["frame"]
            sizes = {"height": height, "width": width, "channels": channels}
            convolutions = channels_for(height, width) if setup.channels is None else setup.channels
            features = None if setup.over_maps else setup.features
            layers = frame_layers(convolutions, features)
        labels = examples.about["labels"]
        maps = tokenizer is None and setup.over_maps
        over = setup.described("rnn", layers[-1]["name"], maps=maps)
        made = described([*layers, *over], sizes, labels, late=setup.delay)
        return NetworkConfig.model_validate(made)

    def objective(
        self, setup: TagSetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> LabelObjective:
        """See ``Kind.objective``."""
        unit, step = ("clip", "frame") if tokenizer is None else ("sentence", "word")
        return LabelObjective(len(examples.about["labels"]), unit=unit, step=step)


def _frames(part: Tagged) -> list[np.ndarray]:
    return list(part.sequences)


def _ids(vocabulary: Mapping[str, int], part: Tagged) -> list[np.ndarray]:
    """Return the ids of the words, 0 for those that are not known."""
    return [
        np.array([vocabulary.get(word, 0) for word in words], np.int64) for words in part.sequences
    ]


def _hidden(train: Tagged) -> Tagged:
    """Return the sentences with a small share of their words hidden: each becomes the unknown
    word, so that what an unknown word is follows from those around it.
    """
    rng = np.random.default_rng(_SEED)
    sentences = tuple(
        tuple(
            _UNKNOWN if hide else word
            for word, hide in zip(words, rng.random(len(words)) < _HIDDEN, strict=True)
        )
        for words in train.sequences
    )
    return replace(train, sequences=sentences)


def _vocabulary(train: Tagged, minimum: int) -> dict[str, int]:
    """Return word → id, the frequent words first, after the one for unknown words."""
    counts = Counter(word for words in train.sequences for word in words)
    known = [word for word, count in counts.items() if count >= minimum and word != _UNKNOWN]
    known.sort(key=lambda word: (-counts[word], word))
    return {_UNKNOWN: 0, **{word: at for at, word in enumerate(known, start=1)}}


def _arrays(
    name: str, steps: list[np.ndarray], labels: list[np.ndarray], delay: int
) -> dict[str, np.ndarray]:
    """Return the arrays of a split, padded to the longest: each sequence goes on with its last
    step for ``delay`` steps, and the label of step t is asked for at t + delay.
    """
    lengths = np.array([len(own) + delay for own in labels], np.int64)
    shape = (len(labels), int(lengths.max()))
    given = np.zeros((*shape, *steps[0].shape[1:]), steps[0].dtype)
    target = np.full(shape, NOTHING, np.int64)
    for row, (own, wanted) in enumerate(zip(steps, labels, strict=True)):
        given[row, : len(own)] = own
        given[row, len(own) : len(own) + delay] = own[-1]
        target[row, delay : delay + len(wanted)] = wanted
    return {name: given, LENGTHS: lengths, TARGET: target}


def _held_out(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the first sequences that hold enough steps."""
    count = int(np.searchsorted(arrays[LENGTHS].cumsum(), _HELD_OUT_STEPS)) + 1
    return {key: array[:count] for key, array in arrays.items()}
