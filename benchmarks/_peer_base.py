"""What every contender in ``peers.py`` is: a name, the packages it needs, and how it gets from the
model to a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgernn.models.language import LanguageConfig, LanguageModel

STATES = {"lstm": ("h", "c"), "gru": ("h",)}
Step = Callable[[int, Any], tuple[np.ndarray, Any]]


class PeerError(Exception):
    """A contender could not make its file, or could not run it; says why in one line."""


@dataclass(frozen=True)
class Stepper:
    """A model, ready to run in one runtime on one thread.

    Attributes:
        step: a token and the state to the logits (V float32 numbers of any shape, valid until the
            next step) and the next state, in the objects of the runtime.
        first: the state of zeros.
        bytes: what the model takes on disk; None where nothing is written.
    """

    step: Step
    first: Any
    bytes: int | None


@dataclass(frozen=True)
class Peer:
    """One row of the table.

    Attributes:
        name: what ``--only`` takes.
        what: the row's words.
        packages: distributions that must be installed.
        exact: whether it computes in float32 throughout, so that its logits must be the
            reference's.
        prepare: makes the stepper; may raise anything that its runtime raises.
    """

    name: str
    what: str
    packages: tuple[str, ...]
    exact: bool
    prepare: Callable[[Work], Stepper]


class PlainLSTM(nn.Module):
    """The language model as people write it with ``nn.LSTM``: ``tokens [B, T]``, ``h, c [L, B,
    H]``.
    """

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.embedding, self.lstm, self.head = model.embedding, model.recurrent.fused, model.head

    def forward(self, tokens: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ``logits [B, T, V]`` and the state after T."""
        y, (h, c) = self.lstm(self.embedding(tokens), (h, c))
        return self.head(y), h, c


class PlainGRU(nn.Module):
    """The language model as people write it with ``nn.GRU``: ``tokens [B, T]``, ``h [L, B, H]``."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__()
        self.embedding, self.gru, self.head = model.embedding, model.recurrent.fused, model.head

    def forward(self, tokens: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``logits [B, T, V]`` and the state after T."""
        y, h = self.gru(self.embedding(tokens), h)
        return self.head(y), h


@dataclass(frozen=True)
class Work:
    """One model that every contender gets, and a folder for what they write; ``onnx`` is shared by
    those that read ONNX.
    """

    model: LanguageModel
    scratch: Path

    @classmethod
    def seeded(cls, scratch: Path, *, cell: str, hidden: int, vocabulary: int) -> Work:
        """Make a model of two layers with random weights, none of them zero: a bias that gets lost
        must show.
        """
        torch.manual_seed(3)
        model = (
            LanguageModel(LanguageConfig(cell=cell, hidden=hidden, vocabulary=vocabulary))
            .eval()
            .requires_grad_(False)
        )
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
        return cls(model, scratch)

    @property
    def names(self) -> tuple[str, ...]:
        """The states' names."""
        return STATES[self.model.config.cell]

    @property
    def plain(self) -> nn.Module:
        """The model as people write it, over the same weights."""
        return (PlainLSTM if self.model.config.cell == "lstm" else PlainGRU)(self.model).eval()

    def zeros(self) -> tuple[Tensor, ...]:
        """Return the first state, each tensor its own: exporters merge inputs that are given as one
        object.
        """
        return self.model.initial_state(1)

    def examples(self, dtype: torch.dtype = torch.int64) -> tuple[Tensor, ...]:
        """Return example inputs for one step: the tokens, and a state that is not zero."""
        return torch.ones(1, 1, dtype=dtype), *(
            torch.rand_like(tensor) - 0.5 for tensor in self.zeros()
        )

    @cached_property
    def onnx(self) -> Path:
        """The file of plain ``torch.onnx.export``, written at the first use."""
        return export_onnx(self, "plain", dynamo=False)

    def folder(self, name: str) -> Path:
        """Return a new folder for the files of one contender."""
        made = self.scratch / name
        made.mkdir()
        return made


def export_onnx(work: Work, name: str, *, dynamo: bool) -> Path:
    """Write the plain model with ``torch.onnx.export`` for T = 1, B = 1, names given and all else
    left as it comes.
    """
    path = work.folder(name) / "model.onnx"
    after = [f"{state}_next" for state in work.names]
    torch.onnx.export(
        work.plain,
        work.examples(),
        str(path),
        dynamo=dynamo,
        input_names=["tokens", *work.names],
        output_names=["logits", *after],
        **({"verbose": False} if dynamo else {}),
    )
    return path


def folder_bytes(folder: Path) -> int:
    """Return the size of every file in ``folder``: weights may stand beside the graph."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def version_of(package: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
