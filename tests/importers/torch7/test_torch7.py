"""char-rnn and torch-rnn against their published equations in plain float64 numpy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nngraph_files import Graph, gru, lstm, one_hot, rnn
from t7_writer import Object, t7, tensor
from upstream_language import rolled

from edgernn.containers.reading import read
from edgernn.errors import CheckpointError
from edgernn.export.pack import export_bundle
from edgernn.importers.base import Opened
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.torch7.char_rnn import Torch7CharRnn
from edgernn.importers.torch7.torch_rnn import TorchRnn
from edgernn.parity.verify import verify_bundle

CHARACTERS = "\n abcdef"
V, H, L, T = len(CHARACTERS), 5, 2, 30
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
RNG = np.random.default_rng(7)
TOKENS = RNG.integers(0, V, T)


def _layers(gates: int, first: int) -> list[dict[str, np.ndarray]]:
    def draw(*shape: int) -> np.ndarray:
        return RNG.normal(0, 0.6, shape).astype("f4")

    rows = gates * H
    return [
        {"w": draw(rows, H if n else first), "u": draw(rows, H), "b": draw(rows), "d": draw(rows)}
        for n in range(L)
    ]


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def _step(cell: str, layer: dict[str, np.ndarray], x, h, c):
    """One step of char-rnn's equations, gates i, f, o, g and z, r, n."""
    a, e = layer["w"] @ x + layer["b"], layer["u"] @ h + layer["d"]
    if cell == "rnn":
        return np.tanh(a + e), c
    if cell == "lstm":
        i, f, o, g = np.split(a + e, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c
    (z, r, n), (zh, rh, _) = np.split(a, 3), np.split(e, 3)
    z, r = _sigmoid(z + zh), _sigmoid(r + rh)
    n = np.tanh(n + np.split(layer["u"], 3)[2] @ (r * h) + np.split(layer["d"], 3)[2])
    return z * n + (1 - z) * h, c


def _logits(cell: str, layers, head, inputs) -> np.ndarray:
    states, made = [(np.zeros(H), np.zeros(H)) for _ in layers], []
    for fed in inputs:
        top = fed
        for n, layer in enumerate(layers):
            states[n] = _step(cell, layer, top, *states[n])
            top = states[n][0]
        made.append(head[0] @ top + head[1])
    return np.array(made)


def _char_rnn(tmp_path: Path, cell: str) -> tuple[Path, Any, Any]:
    layers = _layers(GATES[cell], V)
    head = RNG.normal(0, 1, (V, H)).astype("f4"), RNG.normal(0, 1, V).astype("f4")
    graph = Graph(1 + L * (2 if cell == "lstm" else 1))
    x = one_hot(graph, V)
    build = {"lstm": lambda: lstm(graph, x, layers, 0.5), "gru": lambda: gru(graph, x, layers)}
    top = build.get(cell, lambda: rnn(graph, x, layers))()
    top = graph.module("nn.Dropout", {"p": 0.5}, top)
    graph.module("nn.LogSoftMax", {}, graph.linear(*head, top))
    content = {
        "protos": {"rnn": graph.written(), "criterion": Object("nn.ClassNLLCriterion", {})},
        "opt": {"model": cell, "rnn_size": H, "num_layers": L, "dropout": 0.5},
        "vocab": {character: n + 1 for n, character in enumerate(CHARACTERS)},
        "val_loss": 1.5,
    }
    path = tmp_path / "lm.t7"
    path.write_bytes(t7(content))
    return path, layers, head


@pytest.mark.parametrize("cell", GATES)
def test_char_rnn(tmp_path: Path, cell: str) -> None:
    path, layers, head = _char_rnn(tmp_path, cell)
    opened = Opened(read(path))
    match = Torch7CharRnn().match(opened)
    assert match is not None
    made = Torch7CharRnn().read(opened)
    wanted = _logits(cell, layers, head, np.eye(V)[TOKENS])
    assert np.abs(rolled(made, torch.from_numpy(TOKENS)[None])[0] - wanted).max() < 1e-5
    assert made.tokenizer is not None
    assert made.tokenizer.encode("bad\n").tolist() == [3, 2, 5, 0]
    assert made.tokenizer.decode([3, 2, 5, 0]) == "bad\n"
    assert made.config.cell == {"gru": "gru_before"}.get(cell, cell)


def test_the_gru_of_char_rnn_is_folded_in_int8(tmp_path: Path) -> None:
    """Its first product becomes a row of a table, as that of a GRU which was trained here."""
    made = import_checkpoint(_char_rnn(tmp_path, "gru")[0], tmp_path / "run")
    bundle = export_bundle(made.folder, tmp_path / "lm", to="onnx", precision="int8", steps=24)
    report = verify_bundle(bundle, steps=24)
    assert report.passed, report
    (artifact,) = bundle.manifest.artifacts
    shapes = {weight.name: weight.shape for weight in artifact.weights}
    assert shapes["embedding"] == (V, 3 * H), shapes


def test_a_graph_that_is_no_step_is_refused(tmp_path: Path) -> None:
    graph = Graph(2)
    graph.linear(np.ones((3, 3), "f4"), np.ones(3, "f4"), graph.inputs[0])
    path = tmp_path / "lm.t7"
    path.write_bytes(t7({"protos": {"rnn": graph.written()}, "vocab": {"a": 1}}))
    with pytest.raises(CheckpointError, match="0 sums of a state and an input"):
        Torch7CharRnn().read(Opened(read(path)))


def _torch_rnn(
    tmp_path: Path, cell: str, *, normalised: bool = False, words: Sequence[str] = CHARACTERS
) -> tuple[Path, np.ndarray]:
    width = 4
    layers = _layers(GATES[cell], width)
    for layer in layers:
        layer["d"][:] = 0
    vectors = RNG.normal(0, 1, (V, width)).astype("f4")
    head = RNG.normal(0, 1, (V, H)).astype("f4"), RNG.normal(0, 1, V).astype("f4")
    norms = [RNG.uniform(0.5, 2, (4, H)).astype("f4") for _ in layers]
    modules = [Object("nn.LookupTable", {"weight": tensor(vectors)})]
    for layer, norm in zip(layers, norms, strict=True):
        weight = np.ascontiguousarray(np.concatenate([layer["w"].T, layer["u"].T]))
        fields = {
            "weight": tensor(weight),
            "bias": tensor(layer["b"]),
            "input_dim": layer["w"].shape[1],
            "hidden_dim": H,
            "remember_states": True,
        }
        modules.append(Object("nn.LSTM" if cell == "lstm" else "nn.VanillaRNN", fields))
        if normalised:
            names = ("weight", "bias", "running_mean", "running_var")
            fields = {name: tensor(row) for name, row in zip(names, norm, strict=True)}
            modules += [
                Object("nn.View", {}),
                Object("nn.BatchNormalization", {**fields, "eps": 1e-5}),
                Object("nn.View", {}),
            ]
        modules.append(Object("nn.Dropout", {"p": 0.5}))
    linear = {"weight": tensor(head[0]), "bias": tensor(head[1])}
    modules += [Object("nn.View", {}), Object("nn.Linear", linear), Object("nn.View", {})]
    model = Object(
        "nn.LanguageModel",
        {
            "net": Object("nn.Sequential", {"modules": modules}),
            "idx_to_token": dict(enumerate(words, 1)),
            "model_type": cell,
        },
    )
    path = tmp_path / "checkpoint.t7"
    path.write_bytes(t7({"opt": {}, "i": 1000, "model": model}))
    if not normalised:
        return path, _logits(cell, layers, head, vectors[TOKENS])
    xs = vectors[TOKENS].astype(float)
    for layer, (weight, bias, mean, variance) in zip(layers, norms, strict=True):
        h, c, made = np.zeros(H), np.zeros(H), []
        for x in xs:
            h, c = _step(cell, layer, x, h, c)
            made.append((h - mean) / np.sqrt(variance + 1e-5) * weight + bias)
        xs = np.array(made)
    return path, xs @ head[0].T + head[1]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_torch_rnn(tmp_path: Path, cell: str, normalised: bool) -> None:
    path, wanted = _torch_rnn(tmp_path, cell, normalised=normalised)
    opened = Opened(read(path))
    assert TorchRnn().match(opened) is not None
    assert Torch7CharRnn().match(opened) is None
    made = TorchRnn().read(opened)
    assert np.abs(rolled(made, torch.from_numpy(TOKENS)[None])[0] - wanted).max() < 2e-5
    assert made.tokenizer is not None
    assert made.tokenizer.encode("cab").tolist() == [4, 2, 3]


def test_torch_rnn_over_bytes(tmp_path: Path) -> None:
    """``preprocess.py --encoding bytes`` writes a byte above 127 as its number in brackets."""
    words = ["a", "[195]", "[169]", "\n", "[", "]", *"bcdefghijklmnop"][:V]
    made = TorchRnn().read(Opened(read(_torch_rnn(tmp_path, "lstm", words=words)[0])))
    assert made.tokenizer is not None
    assert made.tokenizer.encode("aé\n").tolist() == [0, 1, 2, 3]
    assert made.tokenizer.decode([0, 1, 2, 3]) == "aé\n"


def test_a_layer_of_a_fork_is_named(tmp_path: Path) -> None:
    modules = [Object("nn.LookupTable", {"weight": tensor(np.ones((3, 2), "f4"))})]
    modules.append(Object("nn.GRIDGRU", {}))
    net = Object("nn.Sequential", {"modules": modules})
    path = tmp_path / "fork.t7"
    path.write_bytes(t7(Object("nn.LanguageModel", {"net": net, "idx_to_token": {1: "a"}})))
    with pytest.raises(CheckpointError, match=r"a nn[.]GRIDGRU, which torch-rnn itself"):
        TorchRnn().read(Opened(read(path)))
