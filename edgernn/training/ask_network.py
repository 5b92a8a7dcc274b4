"""The network that answers questions about a picture, as layers: an encoder of pictures, a
recurrent layer over the words of the question, and how the two are joined.

concatenate   the picture's vector beside the question's state, before the head
multiply      the product of a projection of each (Antol et al. 2015,
              https://arxiv.org/abs/1505.00468)
attention     the question's state looks at regions (Xu & Saenko 2016,
              https://arxiv.org/abs/1511.05234); each has a weight of its own between 0 and 1, so
              that what was seen also says of how many regions (Zhang et al. 2018,
              https://arxiv.org/abs/1802.05766); few numbers, the gist of the question, say by
              products what counts of it, so that what was learned of one colour is not apart from
              what was learned of another
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from edgernn.contract import CHANNELS, HEIGHT, TOKENS, WIDTH, validated
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.over_time import CellName, Stack, Width

Join = Literal["attention", "concatenate", "multiply"]
ANSWER, ANSWERS, PICTURE, ATTENTION = "answer", "answers", "image", "attention"
_FEATURES, _KEYS, _VECTOR, _REGIONS = "features", "feature_keys", "picture", "regions"
_COUNTS = 16  # numbers that are made of how much was seen
_SPREAD = 1.7  # of words before training, a deviation of 1: the questions are learned sooner
_LOOKED_AT = {_FEATURES: "region_values", _KEYS: "region_keys"}
_AXES = {
    _FEATURES: ("batch", _REGIONS, "feature_width"),
    _KEYS: ("batch", _REGIONS, "key_width"),
    ATTENTION: ("batch", "time", _REGIONS),
}
Layers = list[dict[str, Any]]


class AskModel(Stack):
    """The shape of the network.

    ``joint`` is the width of what stands before the head without attention; ``keys``, ``values``,
    ``gist`` and ``noise`` are attention's; the others are as the options of ``edgernn train ask``
    say.
    """

    join: Join = "attention"
    encoder: str = "small"
    image_size: int = Field(default=64, ge=32, le=1024)
    cell: CellName = "gru"
    embedding: int = Field(default=32, ge=1, le=4096)
    hidden: Width = 48
    joint: int = Field(default=128, ge=1, le=4096)
    keys: int = Field(default=64, ge=1, le=4096)
    values: int = Field(default=24, ge=1, le=4096)
    gist: int = Field(default=6, ge=1, le=4096)
    noise: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    dropout: float = Field(default=0.0, ge=0, lt=1)


def ask_network(model: AskModel, *, vocabulary: int, answers: Sequence[str]) -> NetworkConfig:
    """Return the description of the network for V token ids and the names of the answers.

    Raises:
        UsageError: an unknown encoder or cell, or a picture's size that does not fit the encoder.
    """
    looks = model.join == "attention"
    square = [HEIGHT, WIDTH, CHANNELS]
    described = {
        "family": "answerer",
        "given": [{"name": PICTURE, "dtype": "uint8", "axes": ["batch", *square]}],
        "inputs": [{"name": TOKENS, "dtype": "int64", "axes": ["batch", "time"], "below": "vocab"}],
        "sizes": {
            **dict.fromkeys((HEIGHT, WIDTH), model.image_size),
            CHANNELS: 3,
            "vocab": vocabulary,
            ANSWERS: len(answers),
        },
        "encode": _encode(model, looks=looks),
        "layers": [*_question(model), *_JOINED[model.join](model), *_head(model)],
        "outputs": {ANSWER: "head", **({ATTENTION: "look.alpha"} if looks else {})},
        "contexts": _LOOKED_AT if looks else {_VECTOR: "vector"},
        "axes": _AXES if looks else {},
        "labels": {ANSWERS: list(answers)},
    }
    return validated(NetworkConfig, **described)


def _layer(name: str, kind: str, *inputs: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "inputs": list(inputs), "options": options}


def _encode(model: AskModel, *, looks: bool) -> Layers:
    regions = _layer("regions", "image", PICTURE, encoder=model.encoder)
    if looks:
        return [
            regions,
            _layer("region_values", "linear", "regions", width=model.values),
            _layer("region_keys", "linear", "regions", width=model.keys),
        ]
    # a mean over many regions is small and alike for all pictures: what differs is brought out
    return [
        regions,
        _layer("mean", "mean", "regions"),
        _layer("vector", "layer_norm", "mean"),
    ]


def _question(model: AskModel) -> Layers:
    return [
        _layer("embedding", "embedding", TOKENS, width=model.embedding, spread=_SPREAD),
        *model.described("question", "embedding"),
    ]


def _concatenate(model: AskModel) -> Layers:
    return [
        _layer("both", "concat", "question", _VECTOR),
        _layer("some", "dropout", "both", share=model.dropout),
        _layer("joined", "linear", "some", width=model.joint, activation="relu"),
    ]


def _multiply(model: AskModel) -> Layers:
    return [
        _layer("seen", "linear", _VECTOR, width=model.joint, activation="tanh"),
        _layer("asked", "linear", "question", width=model.joint, activation="tanh"),
        _layer("joined", "multiply", "asked", "seen"),
    ]


def _attention(model: AskModel) -> Layers:
    """``answer = W [A g ⊙ z, B g · n, g]``: z is what was seen, n of how many regions, and g the
    gist.
    """
    looked = {"score": "product", "weights": "sigmoid", "scaled": False, "threshold": True}
    return [
        _layer("look", "attention", _FEATURES, _KEYS, "question", **looked),
        _layer("asked", "linear", "question", width=model.gist, activation="tanh"),
        _layer("gist", "noise", "asked", deviation=model.noise),
        _layer("which", "linear", "gist", width=model.values),
        _layer("seen", "multiply", "which", "look"),
        _layer("which_counts", "linear", "gist", width=_COUNTS),
        _layer("counted", "multiply", "which_counts", "look.count"),
        _layer("joined", "concat", "seen", "counted", "gist"),
    ]


_JOINED = {"concatenate": _concatenate, "multiply": _multiply, "attention": _attention}


def _head(model: AskModel) -> Layers:
    return [
        _layer("kept", "dropout", "joined", share=model.dropout),
        _layer("head", "linear", "kept", width=ANSWERS),
    ]
