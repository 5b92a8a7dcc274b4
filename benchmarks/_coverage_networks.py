"""The networks of ``coverage.py``: one for each feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from edgernn.bundle import Bundle
from edgernn.export import export_bundle, export_module

WIDTH, HIDDEN = 4, 6
TEXT = "abcdefgh"
SEQUENCE = {"x": f"float32[batch, time, {WIDTH}]"}
FRAME = {"x": f"float32[batch, {WIDTH}]"}


@dataclass(frozen=True)
class Case:
    """A network and how it is fed; ``whole`` makes a model of edgernn's own, which writes text."""

    make: Callable[[], nn.Module]
    example: dict[str, str] = field(default_factory=lambda: SEQUENCE)
    options: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    scale: float = 0.4

    def export(self, folder: Path, name: str, precision: str, *, steps: int) -> Bundle:
        """Export it to one format in one precision."""
        asked = {"to": name, "precision": precision, "steps": steps}
        net = drawn(self.make(), self.scale)
        if self.whole:
            from edgernn.data.text.tokenizer import Tokenizer
            from edgernn.models.checkpoint import Checkpoint

            tokenizer = Tokenizer.build([TEXT], "char")
            return export_bundle(Checkpoint(net, tokenizer, {}, {}), folder, in_graph=True, **asked)
        return export_module(net, self.example, folder, **self.options, **asked)


def drawn(net: nn.Module, scale: float) -> nn.Module:
    """Return ``net`` with every parameter drawn."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return net.eval()


class Layers(nn.Module):
    """Recurrent layers before a head."""

    def __init__(self, layers: nn.Module, width: int = HIDDEN) -> None:
        super().__init__()
        self.layers, self.head = layers, nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x)[0])


class Cell(nn.Module):
    """A cell written out, with state ``h`` and ``c``."""

    def __init__(self, *, peephole: bool = False, normal: bool = False) -> None:
        super().__init__()
        self.gates = nn.Linear(WIDTH + HIDDEN, 4 * HIDDEN)
        self.peepholes = nn.Parameter(torch.zeros(3, HIDDEN)) if peephole else None
        self.normal = normal

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor]) -> tuple[Tensor, Any]:
        h, c = hx
        gates = self.gates(torch.cat([x, h], -1))
        gates = layer_norm(gates, gates.shape[-1:]) if self.normal else gates
        i, f, g, o = gates.chunk(4, -1)  # [B, H]
        if self.peepholes is not None:
            i, f = i + self.peepholes[0] * c, f + self.peepholes[1] * c
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        o = o if self.peepholes is None else o + self.peepholes[2] * c
        h = torch.sigmoid(o) * torch.tanh(c)
        return h * 2, (h, c)


class LearnedStart(nn.Module):
    """A GRU that starts at what was learned."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.first = nn.GRU(WIDTH, HIDDEN), nn.Parameter(torch.zeros(1, 1, HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        first = self.first.expand(1, x.shape[0], HIDDEN).contiguous()
        return self.gru(x.transpose(0, 1), first)[0].transpose(0, 1)


class Convolved(nn.Module):
    """A causal convolution, or one that strides, or one that looks ahead, before a GRU."""

    def __init__(self, stride: int = 1, ahead: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(WIDTH, HIDDEN, 3, stride=stride)
        self.gru, self.ahead = nn.GRU(HIDDEN, HIDDEN, batch_first=True), ahead

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(pad(x.transpose(1, 2), (2 - self.ahead, self.ahead)))
        return self.gru(x.transpose(1, 2))[0]


class Counter(nn.Module):
    """A whole number among the states."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(WIDTH, HIDDEN)

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor]) -> tuple[Tensor, Any]:
        h, count = hx
        h = self.cell(x, h)
        return h / (count[:, None] + 1), (h, count + 1)


class Encoded(nn.Module):
    """An encoder that runs once, and steps with attention over what it made."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.GRU(WIDTH, HIDDEN // 2, bidirectional=True, batch_first=True)
        self.gru, self.query = nn.GRU(WIDTH, HIDDEN, batch_first=True), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, source: Tensor, x: Tensor) -> Tensor:
        memory = self.encoder(source)[0]  # [B, S, H]
        y = self.query(self.gru(x)[0])  # [B, T, H]
        return torch.softmax(y @ memory.transpose(1, 2), -1) @ memory


class Window(nn.Module):
    """Attention over the last five frames."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.score = nn.GRU(WIDTH, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.gru(x)[0]
        seen = pad(y, (0, 0, 4, 0)).unfold(1, 5, 1)  # [B, T, H, 5]
        score = pad(self.score(y), (0, 0, 4, 0), value=-1e4).unfold(1, 5, 1)
        return (seen * torch.softmax(score, -1)).sum(-1)


class Ids(nn.Module):
    """Scores of the next of twelve ids."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.gru = nn.Embedding(12, WIDTH), nn.GRU(WIDTH, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, 12)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.gru(self.table(ids))[0])


def language_model() -> nn.Module:
    """Return a model of edgernn's own that writes text."""
    from edgernn.data.text.tokenizer import Tokenizer
    from edgernn.models.language import LanguageConfig, LanguageModel

    sizes = {
        "vocabulary": Tokenizer.build([TEXT], "char").vocabulary_size,
        "embedding": 8,
        "hidden": 8,
        "layers": 1,
    }
    return LanguageModel(LanguageConfig(cell="lstm", **sizes))


def pair(rows: int) -> tuple[Tensor, Tensor]:
    """Return zeros for ``h`` and ``c``."""
    return torch.zeros(rows, HIDDEN), torch.zeros(rows, HIDDEN)


def counted(rows: int) -> tuple[Tensor, Tensor]:
    """Return zeros for ``h`` and a counter."""
    return torch.zeros(rows, HIDDEN), torch.zeros(rows, dtype=torch.int64)


def _layers(kind: type[nn.RNNBase], scale: float = 0.4, **options: Any) -> Case:
    width = options.get("proj_size") or HIDDEN

    def make() -> nn.Module:
        return Layers(kind(WIDTH, HIDDEN, 2, batch_first=True, **options), width)

    return Case(make, scale=scale)


TWO = {"source": f"float32[batch, source, {WIDTH}]", **SEQUENCE}
NETWORKS: dict[str, Case] = {
    "lstm": _layers(nn.LSTM),
    "gru": _layers(nn.GRU),
    "rnn tanh": _layers(nn.RNN),
    "rnn relu": _layers(nn.RNN, 0.2, nonlinearity="relu"),
    "projection": _layers(nn.LSTM, proj_size=5),
    "peephole": Case(lambda: Cell(peephole=True), FRAME, {"state": {"hx": pair}}),
    "layer norm": Case(lambda: Cell(normal=True), FRAME, {"state": {"hx": pair}}),
    "learned start": Case(LearnedStart),
    "token ids": Case(Ids, {"ids": "int64[batch, time] below 12"}),
    "int64 state": Case(Counter, FRAME, {"state": {"hx": counted}}),
    "causal convolution": Case(Convolved),
    "strides": Case(lambda: Convolved(stride=2)),
    "latency": Case(lambda: Convolved(ahead=1)),
    "attention over a window": Case(Window),
    "encode": Case(Encoded, TWO, {}),
    "in-graph decoding": Case(language_model, whole=True),
}
