"""The upstream classes of language models, rewritten at their smallest under their own class paths,
so that real files of them exist; and what their own forward gives.

A class is importable while a file is written, as pickle needs it, and gone afterwards.
"""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.containers import reading
from edgernn.importers.base import Imported, Importer, Match, Opened, Wishes
from edgernn.importers.building import built
from edgernn.importers.table import importers

STEPS = 40


class RNNModel(nn.Module):
    """pytorch/examples word_language_model: tokens ``[T, B]`` to log-probabilities ``[TB, V]``."""

    def __init__(
        self, kind: str, words: int = 23, width: int = 8, hidden: int = 8, *, tied: bool = False
    ) -> None:
        super().__init__()
        self.ntoken, self.rnn_type, self.nhid, self.nlayers = words, kind, hidden, 2
        self.drop = nn.Dropout(0.2)
        self.encoder = nn.Embedding(words, width)
        if kind in {"LSTM", "GRU"}:
            self.rnn = getattr(nn, kind)(width, hidden, 2, dropout=0.2)
        else:
            name = kind.removeprefix("RNN_").lower()
            self.rnn = nn.RNN(width, hidden, 2, nonlinearity=name, dropout=0.2)
        self.decoder = nn.Linear(hidden, words)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        y, state = self.rnn(self.drop(self.encoder(tokens)), state)  # [T, B, H]
        logits = self.decoder(self.drop(y)).view(-1, self.ntoken)  # [TB, V]
        return torch.log_softmax(logits, 1), state


class CharRNN(nn.Module):
    """spro/char-rnn.pytorch: one character ``[B]`` a call to logits ``[B, 100]``."""

    def __init__(self, model: str, size: int = 100, hidden: int = 9) -> None:
        super().__init__()
        self.model, self.input_size, self.output_size = model, size, size
        self.encoder = nn.Embedding(size, hidden)
        self.rnn = {"gru": nn.GRU, "lstm": nn.LSTM}[model](hidden, hidden, 2)
        self.decoder = nn.Linear(hidden, size)

    def forward(self, tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        encoded = self.encoder(tokens)  # [B, H]
        y, state = self.rnn(encoded.view(1, len(tokens), -1), state)  # [1, B, H]
        return self.decoder(y.view(len(tokens), -1)), state


class WeightDrop(nn.Module):
    """salesforce/awd-lstm-lm: the wrapper keeps ``weight_hh_l0_raw`` and writes what it dropped."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.dropout = module, 0.5
        raw = module._parameters.pop("weight_hh_l0")
        assert raw is not None
        module.register_parameter("weight_hh_l0_raw", nn.Parameter(raw.data))

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        raw = self.module.weight_hh_l0_raw
        dropped = nn.functional.dropout(raw, self.dropout, self.training)
        self.module._parameters["weight_hh_l0"] = nn.Parameter(dropped.data)  # type: ignore[union-attr]
        self.module._flat_weights = [  # type: ignore[union-attr]
            getattr(self.module, name)
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        ]
        made: tuple[Tensor, Any] = self.module(x, state)
        return made


class AwdModel(nn.Module):
    """salesforce/awd-lstm-lm: tokens ``[T, B]`` to the top layer's states ``[T, B, E]``."""

    def __init__(self, *, wdrop: bool, tied: bool = True, kind: str = "LSTM") -> None:
        super().__init__()
        self.encoder = nn.Embedding(23, 6)
        sizes = [(6, 10), (10, 10), (10, 6 if tied else 10)]
        layers: list[nn.Module] = [getattr(nn, kind)(i, h) for i, h in sizes]
        self.rnns = nn.ModuleList([WeightDrop(x) for x in layers] if wdrop else layers)
        self.decoder = nn.Linear(sizes[-1][1], 23)
        if tied:
            self.decoder.weight = self.encoder.weight
        self.rnn_type, self.ninp, self.nhid, self.nlayers = kind, 6, 10, 3

    def forward(self, tokens: Tensor) -> Tensor:
        y = self.encoder(tokens)
        for layer in self.rnns:
            y, _ = layer(y)
        return y


class SplitCrossEntropyLoss(nn.Module):
    """salesforce/awd-lstm-lm's loss; with more than one split it has parameters of its own."""

    def __init__(self, *, splits: int) -> None:
        super().__init__()
        self.splits, self.nsplits = [0, 5, 100_000_000], splits
        if splits > 1:
            self.tail_vectors = nn.Parameter(torch.zeros(splits - 1, 6))
            self.tail_bias = nn.Parameter(torch.zeros(splits - 1))


@contextmanager
def importable(path: str, **classes: type) -> Iterator[None]:
    """Let pickle find ``classes`` under the module ``path``; it is no longer there afterwards."""
    module = types.ModuleType(path)
    for name, made in classes.items():
        made.__module__, made.__qualname__ = path, name
        made.__name__ = name
        setattr(module, name, made)
    sys.modules[path] = module
    try:
        yield
    finally:
        del sys.modules[path]


def save(content: Any, path: Path, *, legacy: bool = False) -> Path:
    """Write what ``torch.save`` writes, in its zip format or the older one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the source of a class is not found
        torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def opened(path: Path, **wishes: Any) -> Opened:
    """Read a file as ``edgernn import`` does."""
    return Opened(reading.read(path), wishes=Wishes(**wishes))


def surest(found: Opened) -> tuple[Importer, Match]:
    """Return the importer that is surest, which has to be one alone."""
    matches = [(x, match) for x in importers() if (match := x.match(found)) is not None]
    best = max(match.sureness for _, match in matches)
    [one] = [(x, match) for x, match in matches if match.sureness == best]
    return one


def taken(path: Path, **wishes: Any) -> tuple[str, Imported]:
    """Return the word of the surest importer, and what it reads."""
    found = opened(path, **wishes)
    importer, _ = surest(found)
    return importer.word, importer.read(found)


def rolled(imported: Imported, inputs: Tensor) -> np.ndarray:
    """Return what comes out step by step from the first state, over ``inputs [B, T, …]``."""
    model = built(imported, Path("upstream"))
    state, made = model.initial_state(inputs.shape[0]), []
    with torch.no_grad():
        for t in range(inputs.shape[1]):
            out, *state = model.graph("step", inputs[:, t : t + 1], *state)  # type: ignore[assignment]
            made.append(out)
    return torch.cat(made, 1).numpy()  # [B, T, ·]


def drawn(vocabulary: int, batch: int = 2) -> Tensor:
    """Return ids ``[B, T]``."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(vocabulary, (batch, STEPS), generator=generator)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Of scores, over the last axis, in float64."""
    wide = logits.astype(np.float64)
    wide = wide - wide.max(-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(-1, keepdims=True))
