"""Which model ``train text`` makes: a language model of recurrent layers, or, where what goes over
time is no plain cell, a network described by layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from edgernn.contract import TOKENS, validated
from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.errors import UsageError
from edgernn.families.step import LOGITS, VOCAB
from edgernn.models.family import RecurrentModel
from edgernn.models.language import MAX_WIDTH, LanguageConfig, LanguageModel
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.layered.over_time import Stack, Width


class _Described(Stack):
    """What ``train text`` may be told of a model."""

    vocabulary: int = Field(ge=1, le=MOST_ELEMENTS)
    embedding: int = Field(default=64, ge=1, le=MAX_WIDTH)
    hidden: Width = 256
    layers: int = 2
    tied: bool = False
    learned_initial_state: bool = False

    @model_validator(mode="after")
    def _tied_matrices_fit(self) -> _Described:
        width = self.width
        if self.tied and self.embedding != width:
            raise ValueError(
                f"tied weights need embedding = hidden, got {self.embedding} and {width}; "
                f"use --embedding {width} or leave --tied out"
            )
        return self


def text_config(told: Mapping[str, Any], *, vocabulary: int) -> LanguageConfig | NetworkConfig:
    """Return the configuration of a model of text.

    Args:
        told: the fields of a ``Stack`` and of ``LanguageConfig`` but for its vocabulary.
        vocabulary: V.

    Raises:
        UsageError: a field that does not fit.
    """
    given = {name: value for name, value in told.items() if value is not None}
    model = validated(_Described, vocabulary=vocabulary, **given)
    layers = model.described("layers", "embedding")  # which refuses what does not fit
    if not model.states or model.cell_options:
        config = _described(model, layers)
        config.contract()
        return config
    plain = {name: value for name, value in given.items() if name in LanguageConfig.model_fields}
    return validated(LanguageConfig, vocabulary=vocabulary, **plain)


def text_model(told: Mapping[str, Any], *, vocabulary: int) -> RecurrentModel:
    """Return a fresh model of text; see ``text_config``."""
    config = text_config(told, vocabulary=vocabulary)
    return LanguageModel(config) if isinstance(config, LanguageConfig) else Network(config)


def _described(model: _Described, over: list[dict[str, Any]]) -> NetworkConfig:
    if model.learned_initial_state:
        if not model.states:
            raise UsageError(
                f"{model.cell} begins with nothing behind it; leave --learned-state out"
            )
        over[-1]["options"]["first"] = "stored"
    embedding = {"name": "embedding", "kind": "embedding", "inputs": [TOKENS]}
    head = {"width": VOCAB, **({"tied": "embedding"} if model.tied else {})}
    layers = [
        {**embedding, "options": {"width": model.embedding}},
        *over,
        {"name": "head", "kind": "linear", "inputs": ["layers"], "options": head},
    ]
    tokens = {"name": TOKENS, "dtype": "int64", "axes": ["batch", "time"], "below": VOCAB}
    return validated(
        NetworkConfig,
        family="language",
        inputs=[tokens],
        sizes={VOCAB: model.vocabulary},
        layers=layers,
        outputs={LOGITS: "head"},
    )
