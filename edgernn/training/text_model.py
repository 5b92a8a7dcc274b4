"""Which model ``train text`` makes: a language model of recurrent layers, or, where what goes over
time is no cell, a network described by layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from edgernn.contract import TOKENS, Record, validated
from edgernn.contract.rules import MOST_ELEMENTS
from edgernn.errors import UsageError
from edgernn.families.step import LOGITS, VOCAB
from edgernn.models.family import RecurrentModel
from edgernn.models.language import MAX_WIDTH, LanguageConfig, LanguageModel
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.models.layered.over_time import over_time
from edgernn.models.layered.table import OVER_TIME

_OF_CONVOLUTIONS = ("kernel", "growth")


class _Described(Record):
    """What ``train text`` may be told of a model that is a described network."""

    vocabulary: int = Field(ge=1, le=MOST_ELEMENTS)
    cell: str
    embedding: int = Field(default=64, ge=1, le=MAX_WIDTH)
    hidden: int = Field(default=256, ge=1, le=MAX_WIDTH)
    layers: int = 2
    between: str = "plain"
    dropout: float = 0.0
    tied: bool = False
    kernel: int | None = None
    growth: int | None = None

    @model_validator(mode="after")
    def _tied_matrices_fit(self) -> _Described:
        if self.tied and self.embedding != self.hidden:
            raise ValueError(
                f"tied weights need embedding = hidden, got {self.embedding} and {self.hidden}; "
                f"use --embedding {self.hidden} or leave --tied out"
            )
        return self


def text_config(told: Mapping[str, Any], *, vocabulary: int) -> LanguageConfig | NetworkConfig:
    """Return the configuration of a model of text.

    Args:
        told: the fields of ``LanguageConfig`` but for its vocabulary; ``cell`` may also be a row of
            ``OVER_TIME``, which may have ``kernel`` and ``growth``.
        vocabulary: V.

    Raises:
        UsageError: a field that does not fit.
    """
    given = {name: value for name, value in told.items() if value is not None}
    if given.get("cell") not in OVER_TIME:
        if strange := next((name for name in _OF_CONVOLUTIONS if name in given), None):
            raise UsageError(
                f"--{strange} is of the cell {OVER_TIME[0]}; leave it out, or take that cell"
            )
        return validated(LanguageConfig, vocabulary=vocabulary, **given)
    if given.pop("weights", "float") != "float":
        raise UsageError(
            f"{given['cell']} has no recurrent matrix to be of few values; leave --weights out"
        )
    if given.pop("learned_initial_state", False):
        raise UsageError(
            f"{given['cell']} begins with nothing behind it; leave --learned-state out"
        )
    config = _described(validated(_Described, vocabulary=vocabulary, **given))
    config.contract()
    return config


def text_model(told: Mapping[str, Any], *, vocabulary: int) -> RecurrentModel:
    """Return a fresh model of text; see ``text_config``."""
    config = text_config(told, vocabulary=vocabulary)
    return LanguageModel(config) if isinstance(config, LanguageConfig) else Network(config)


def _described(model: _Described) -> NetworkConfig:
    between = over_time(
        "layers",
        "embedding",
        cell=model.cell,
        hidden=model.hidden,
        layers=model.layers,
        between=model.between,
        dropout=model.dropout or None,
        kernel=model.kernel,
        growth=model.growth,
    )
    embedding = {"name": "embedding", "kind": "embedding", "inputs": [TOKENS]}
    head = {"width": VOCAB, **({"tied": "embedding"} if model.tied else {})}
    layers = [
        {**embedding, "options": {"width": model.embedding}},
        between,
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
