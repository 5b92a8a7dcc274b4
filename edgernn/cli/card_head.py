"""The YAML head of a model card, as model hubs read it: library, task, tags, and what was measured
on held-out data as a ``model-index``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from edgernn.bundle import nats
from edgernn.bundle.manifest import Manifest
from edgernn.cli.layers import cells_of
from edgernn.families.table import family_of
from edgernn.formats import FORMATS

OTHER = "other"  # a task that hubs have no name for
_OF_TEXT = ("text-classification", "token-classification")
# name in a run's notes → what hubs call the metric
_SCORES = {
    "accuracy": "accuracy",
    "exact": "exact_match",
    "CIDEr-D": "cider",
    "BLEU-4": "bleu",
    "ROUGE-L": "rouge",
}
# words that a reader of YAML 1.1 takes for something else
_NO_TEXT = frozenset({"true", "false", "null", "no", "yes", "on", "off", "y", "n"})


def head(manifest: Manifest, name: str, license_id: str | None) -> str:
    """Return the head of the card of a bundle that is called ``name``, between its two rules."""
    family, task = family_of(manifest.family), task_of(manifest)
    formats = [
        FORMATS[artifact.format].family
        for artifact in manifest.artifacts
        if artifact.format in FORMATS
    ]
    tags = dict.fromkeys(
        ["edgernn", "rnn", *cells_of(manifest.provenance.model), *formats, "on-device"]
    )
    lines = ["---"]
    lines += [f"license: {scalar(license_id)}"] if license_id else []
    lines += ["library_name: edgernn", f"pipeline_tag: {task}", "tags:"]
    lines += [f"- {scalar(tag)}" for tag in tags]
    lines += ["metrics:", *(f"- {metric}" for metric in family.metrics)] if family.metrics else []
    lines += _index(manifest, name, task)
    return "\n".join([*lines, "---"])


def task_of(manifest: Manifest) -> str:
    """Return what hubs call the task; a network that labels frames has none of those of text."""
    task = family_of(manifest.family).task
    return OTHER if task in _OF_TEXT and manifest.tokenizer is None else task


def scalar(text: str) -> str:
    """Return a scalar: a word as it is, anything else quoted; JSON is YAML."""
    plain = re.fullmatch(r"[a-z][a-z0-9.-]*", text) and text not in _NO_TEXT
    return text if plain else json.dumps(text)


def _index(manifest: Manifest, name: str, task: str) -> list[str]:
    """Return the lines of what was measured of the reference; none where nothing was, or nobody
    noted on what.
    """
    training = manifest.provenance.training
    measured = list(_figures(training, family_of(manifest.family).metrics))
    corpus = training.get("corpus")
    if not measured or not isinstance(corpus, str) or not corpus:
        return []
    split = training.get("split")
    lines = ["model-index:", f"- name: {scalar(name)}", "  results:"]
    lines += ["  - task:", f"      type: {task}", "    dataset:"]
    lines += [f"      type: {scalar(_slug(corpus))}", f"      name: {scalar(corpus)}"]
    lines += [f"      split: {scalar(split)}"] if isinstance(split, str) and split else []
    lines.append("    metrics:")
    for metric, value in measured:
        lines += [f"    - type: {metric}", f"      value: {value}"]
    return lines


def _figures(training: Mapping[str, Any], metrics: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each metric as hubs call it, and its value."""
    if "perplexity" in metrics and _is_number(training.get("validation_loss")):
        yield "perplexity", _number(nats.perplexity(training["validation_loss"]))
    for noted, metric in _SCORES.items():
        if _is_number(training.get(noted)):
            yield metric, _number(training[noted])


def _number(value: float) -> str:
    """Return a number of five digits that YAML 1.1 takes for one: with a point before an e."""
    digits, e, power = f"{float(value):.5g}".partition("e")
    return f"{digits}.0e{power}" if e and "." not in digits else f"{digits}{e}{power}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _slug(corpus: str) -> str:
    """Return a corpus's name as an identifier: hubs ask for one."""
    return re.sub(r"[^a-z0-9]+", "-", corpus.rsplit("/", 1)[-1].lower()).strip("-") or OTHER
