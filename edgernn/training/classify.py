"""``edgernn train classify``: texts, or clips of frames, to one label each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from edgernn.contract import TOKENS, validated
from edgernn.data.examples import TRAIN, VALIDATION, ExampleSet
from edgernn.data.labelled.clips import FRAMES
from edgernn.data.labelled.sets import BUILT_IN, LabelledSet, Part, padded, read_set
from edgernn.data.text.token_kinds import CAPTION
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.errors import DataError, UsageError
from edgernn.families.examples import LENGTHS, TARGET
from edgernn.models import checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.layered.over_time import Stack
from edgernn.training.kinds import EXAMPLES, Kind, Setup
from edgernn.training.labels import LabelObjective, asked_of, run
from edgernn.training.objective import Batch

_KINDS = {"word": CAPTION, "char": "char"}  # --tokens → the tokenizer's kind
_EVALUATION_EXAMPLES, _EVALUATION_BYTES = 500, 8 << 20


class ClassifyData(BaseModel):
    """Where texts or clips and their labels come from.

    Attributes:
        source: ``reviews`` or ``sensor-events``, which are built in, or a file: csv, tsv or jsonl
            of texts, npz of frames.
        text_column, label_column: of a file of texts; found by their names where not given.
        validation: a file of its own for validation.
        validation_fraction: else the share of the examples of each label.
    """

    source: str = "reviews"
    text_column: str | None = None
    label_column: str | None = None
    validation: Path | None = None
    validation_fraction: float = 0.1


class ClassifySetup(Setup, Stack):
    """What a classifier and its loss are made of.

    Attributes:
        tokens: of a text: its words in lower case, without what stands between them; or its
            characters.
        minimum_count: fewest occurrences of a word.
        longest: tokens of a text, or frames; the rest is left out in training.
        running: the share of the loss that asks the scores of every step, not of the last alone,
            so that scores before the end say what can be known so far.
    """

    command: Literal["classify"] = "classify"
    tokens: Literal["word", "char"] = "word"
    minimum_count: int = Field(default=2, ge=1)
    longest: int = Field(default=512, ge=1)
    embedding: int = Field(default=32, ge=1)
    running: float = Field(default=0.2, ge=0, le=1)
    smoothing: float = Field(default=0.0, ge=0, lt=1)


class Classify(Kind[ClassifyData, ClassifySetup]):
    """A classifier: embedding or normalisation, what goes over time, a linear head."""

    command = "classify"
    setup = ClassifySetup

    def check(self, data: ClassifyData, setup: ClassifySetup) -> None:
        """See ``Kind.check``."""
        if data.source in BUILT_IN and data.validation is not None:
            raise UsageError(f"{data.source} has a validation part; leave --validation out")
        _network(setup, _frames([0.0], [1.0]), ["a", "b"]).contract()

    def prepare(
        self,
        data: ClassifyData,
        out: Path,
        *,
        setup: ClassifySetup,
        tell: Callable[[str], None],
    ) -> None:
        """See ``Kind.prepare``."""
        found = read_set(
            data.source,
            text=data.text_column,
            label=data.label_column,
            validation=data.validation,
            fraction=data.validation_fraction,
        )
        about: dict[str, Any] = {"classes": found.classes}
        tokenizer = None
        if found.width:
            about |= _statistics(found)
        else:
            tokenizer = _tokenizer(found, setup)
            tokenizer.save(out / checkpoint.TOKENIZER)
        parts = {
            split: _arrays(part, tokenizer, setup, split=split, tell=tell)
            for split, part in found.parts.items()
        }
        port = TOKENS if tokenizer else FRAMES
        ExampleSet.write(
            out / EXAMPLES, parts, source=found.source, ragged={port: LENGTHS}, about=about
        )
        held_out = parts[VALIDATION]
        count = max(1, _EVALUATION_BYTES // held_out[port][0].nbytes)
        count = min(_EVALUATION_EXAMPLES, count)
        sample = {name: array[:count] for name, array in held_out.items()}
        checkpoint.save_evaluation(out / checkpoint.EVALUATION, sample)

    def network(
        self, setup: ClassifySetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> NetworkConfig:
        """See ``Kind.network``."""
        about = examples.about
        if tokenizer is None:
            begins = _frames(about["mean"], about["variance"])
        else:
            begins = _tokens(tokenizer.vocabulary_size, setup.embedding)
        return _network(setup, begins, about["classes"])

    def objective(
        self, setup: ClassifySetup, examples: ExampleSet, tokenizer: Tokenizer | None
    ) -> RunningObjective:
        """See ``Kind.objective``."""
        return RunningObjective(
            len(examples.about["classes"]),
            unit="clip" if tokenizer is None else "text",
            smoothing=setup.smoothing,
            running=setup.running,
        )


class RunningObjective(LabelObjective):
    """Cross-entropy of the last step, and a share ``running`` of the mean of it over all steps of a
    sequence, which asks at each for what can be known so far.
    """

    def __init__(self, labels: int, *, unit: str, smoothing: float, running: float) -> None:
        super().__init__(labels, unit=unit, smoothing=smoothing)
        self.running = running

    def forward(self, network: Network, batch: Batch, share: float) -> tuple[Tensor, Tensor]:
        """See ``Objective.forward``."""
        scores = run(network, batch).float()  # [N, T, C]
        last, target = asked_of(scores, batch)
        objective = nn.functional.cross_entropy(last, target, label_smoothing=self.smoothing)
        if self.running:
            each = batch[TARGET][:, None].expand(scores.shape[:2])  # [N, T]
            loss = nn.functional.cross_entropy(scores.transpose(1, 2), each, reduction="none")
            lengths = batch[LENGTHS][:, None]
            inside = torch.arange(scores.shape[1], device=scores.device) < lengths  # [N, T]
            mean = ((loss * inside).sum(1) / lengths[:, 0]).mean()
            objective = (1 - self.running) * objective + self.running * mean
        return objective, nn.functional.cross_entropy(last.detach(), target)


def _tokenizer(found: LabelledSet, setup: ClassifySetup) -> Tokenizer:
    """Make the vocabulary: of words, those of the training part; of characters, all there are."""
    kind = _KINDS[setup.tokens]
    splits = (TRAIN,) if kind == CAPTION else tuple(found.parts)
    lines = (f"{text}\n" for split in splits for text in found.parts[split].items)
    return Tokenizer.build(lines, kind, minimum_count=setup.minimum_count)


def _arrays(
    part: Part,
    tokenizer: Tokenizer | None,
    setup: ClassifySetup,
    *,
    split: str,
    tell: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """Return the arrays of a split by name; tell how many are longer than they may be."""
    rows = [item if isinstance(item, np.ndarray) else _ids(item, tokenizer) for item in part.items]
    if empty := [place for row, place in zip(rows, part.places, strict=True) if not len(row)]:
        raise DataError(
            f"{empty[0]}: the text has no {setup.tokens}; correct it or leave it out, or use "
            "--tokens char"
        )
    if longer := sum(len(row) > setup.longest for row in rows):
        unit = "frames" if tokenizer is None else "tokens"
        tell(f"{longer} of the {split} part are cut after {setup.longest} {unit} (--longest)")
    made, lengths = padded([row[: setup.longest] for row in rows])
    return {
        FRAMES if tokenizer is None else TOKENS: made,
        LENGTHS: lengths,
        TARGET: part.target,
    }


def _ids(text: str, tokenizer: Tokenizer | None) -> np.ndarray:
    assert tokenizer is not None
    return tokenizer.encode(text)


def _statistics(found: LabelledSet) -> dict[str, list[float]]:
    """Return mean and variance of each number of the training frames; a variance of 0 is 1."""
    frames = np.concatenate([np.asarray(clip, np.float64) for clip in found.parts[TRAIN].items])
    variance = frames.var(0)
    return {
        "mean": frames.mean(0).tolist(),
        "variance": np.where(variance > 0, variance, 1.0).tolist(),
    }


def _tokens(vocabulary: int, width: int) -> dict[str, Any]:
    """Return what a network of texts begins with: the port, and the embedding."""
    port = {"name": TOKENS, "dtype": "int64", "axes": ["batch", "time"], "below": "vocab"}
    layer = {"name": "embedding", "kind": "embedding", "options": {"width": width}}
    return {"port": port, "sizes": {"vocab": vocabulary}, "layer": layer}


def _frames(mean: list[float], variance: list[float]) -> dict[str, Any]:
    """Return what a network of frames begins with: the port, and their normalisation."""
    port = {"name": FRAMES, "axes": ["batch", "time", "features"]}
    options = {"mean": mean, "variance": variance}
    layer = {"name": "normalise", "kind": "normalise", "options": options}
    return {"port": port, "sizes": {"features": len(mean)}, "layer": layer}


def _network(setup: ClassifySetup, begins: dict[str, Any], classes: list[str]) -> NetworkConfig:
    """Return the network: what it begins with, what goes over time, and the head."""
    layers = [
        {**begins["layer"], "inputs": [begins["port"]["name"]]},
        *setup.described("rnn", begins["layer"]["name"]),
        {"name": "dropout", "kind": "dropout", "options": {"share": setup.dropout}},
        {"name": "head", "kind": "linear", "options": {"width": "classes"}},
    ]
    layers = [layer for layer in layers if layer["name"] != "dropout" or setup.dropout]
    for before, layer in pairwise(layers):
        layer["inputs"] = [before["name"]]
    return validated(
        NetworkConfig,
        family="classifier",
        inputs=[begins["port"]],
        sizes={**begins["sizes"], "classes": len(classes)},
        layers=layers,
        outputs={"logits": "head"},
        labels={"classes": classes},
    )
