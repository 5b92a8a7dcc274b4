"""neuraltalk2's language half against its published equations in plain float64 numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from nngraph_files import Graph, lstm
from t7_writer import Object, t7, tensor

from edgernn.containers.reading import read
from edgernn.errors import CheckpointError
from edgernn.importers.base import Opened
from edgernn.importers.building import built
from edgernn.importers.torch7.neuraltalk2 import NeuralTalk2
from edgernn.importers.torch7.torch_rnn import TorchRnn

WORDS = ("a", "cat", "on", "mats")
END, E, H, B = len(WORDS), 4, 5, 2  # START and END, too
RNG = np.random.default_rng(11)


def _draw(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.7, shape).astype("f4")


LAYERS = [
    {"w": _draw(4 * H, n), "u": _draw(4 * H, H), "b": _draw(4 * H), "d": _draw(4 * H)}
    for n in (E, H)
]
VECTORS, HEAD, BIAS = _draw(END + 1, E), _draw(END + 1, H), _draw(END + 1)
FEATURES = _draw(B, E)


def _file(path: Path, *, rows: int = END + 1) -> Path:
    graph = Graph(1 + 2 * len(LAYERS))
    top = lstm(graph, graph.inputs[0], LAYERS, 0.5)
    graph.module("nn.LogSoftMax", {}, graph.linear(HEAD, BIAS, top))
    model = Object(
        "nn.LanguageModel",
        {
            "core": graph.written(),
            "lookup_table": Object("nn.LookupTable", {"weight": tensor(VECTORS[:rows])}),
            "vocab_size": END,
            "seq_length": 7,
        },
    )
    vocab = {str(n): word for n, word in enumerate(WORDS, 1)}
    protos = {"cnn": Object("nn.Sequential", {"modules": []}), "lm": model}
    path.write_bytes(t7({"protos": protos, "vocab": vocab, "opt": {}}))
    return path


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def _greedy(features: np.ndarray) -> tuple[list[int], np.ndarray]:
    """What upstream's ``sample`` does for one picture: ids and logits of 7 steps after START."""
    state = [(np.zeros(H), np.zeros(H)) for _ in LAYERS]

    def step(x: np.ndarray) -> np.ndarray:
        for n, layer in enumerate(LAYERS):
            h, c = state[n]
            i, f, o, g = np.split(layer["w"] @ x + layer["b"] + layer["u"] @ h + layer["d"], 4)
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            x = _sigmoid(o) * np.tanh(c)
            state[n] = x, c
        return HEAD @ x + BIAS

    step(features)
    token, ids, rows = END, [], []
    for _ in range(7):
        rows.append(step(VECTORS[token]))
        token = int(rows[-1].argmax())
        ids.append(token)
    return ids, np.array(rows)


def test_the_features_come_first_then_start(tmp_path: Path) -> None:
    path = _file(tmp_path / "model.t7")
    opened = Opened(read(path))
    assert NeuralTalk2().match(opened) is not None
    assert TorchRnn().match(opened) is None
    made = NeuralTalk2().read(opened)
    decoding = made.config.writes
    assert decoding is not None
    assert (decoding.start, decoding.stop, decoding.length) == ((END,), (END,), 7)
    model = built(made, path)
    with torch.no_grad():
        state = list(model.graph("encode", torch.tensor(FEATURES)))
        tokens, found = torch.full((B, 1), END), []
        for _ in range(7):
            logits, *state = model.graph("step", tokens, *state)
            found.append(logits[:, 0].numpy())
            tokens = logits[:, 0].argmax(1, keepdim=True)
    for row in range(B):
        ids, wanted = _greedy(FEATURES[row].astype(float))
        assert [int(logits[row].argmax()) for logits in found] == ids
        assert max(np.abs(a[row] - b).max() for a, b in zip(found, wanted, strict=True)) < 1e-5
    assert made.tokenizer is not None
    assert made.tokenizer.encode("a cat on mats").tolist() == [0, 1, 2, 3]


def test_tables_of_other_sizes_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path / "model.t7", rows=3)
    with pytest.raises(CheckpointError, match="has 3 rows, and 5 scores come out"):
        NeuralTalk2().read(Opened(read(path)))
