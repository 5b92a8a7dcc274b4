"""RTNeural's files in both conventions, against float64 numpy of Keras's published equations and
against torch's own layers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from upstream_language import rolled, taken

from edgernn.errors import CheckpointError

RNG = np.random.default_rng(7)
STEPS = 12


def drawn(*shape: int) -> np.ndarray:
    """Numbers that float32 holds."""
    return RNG.uniform(-0.7, 0.7, shape).astype(np.float32).astype(np.float64)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def lstm(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """``keras.layers.LSTMCell.call``: rows i f c o. x [T, I] to [T, H]."""
    h = c = np.zeros(recurrent.shape[0])
    made = []
    for frame in x:
        i, f, g, o = np.split(frame @ kernel + h @ recurrent + bias, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        made.append(h)
    return np.array(made)


def gru(x: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """``keras.layers.GRUCell.call`` with ``reset_after``: rows z r h, two biases."""
    h, made = np.zeros(recurrent.shape[0]), []
    for frame in x:
        xz, xr, xh = np.split(frame @ kernel + bias[0], 3)
        hz, hr, hh = np.split(h @ recurrent + bias[1], 3)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xh + r * hh)
        made.append(h)
    return np.array(made)


def conv(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, *, d: int, groups: int) -> np.ndarray:
    """``keras.layers.Conv1D`` with ``padding="causal"``: kernel [K, I / groups, O]."""
    size, inner, outputs = kernel.shape
    y = np.tile(bias, (len(x), 1))
    for t in range(len(x)):
        for k in range(size):
            s = t - (size - 1 - k) * d
            for out in range(outputs if s >= 0 else 0):
                group = out // (outputs // groups)
                y[t, out] += x[s, group * inner :][:inner] @ kernel[k, :, out]
    return y


FUNCTIONS = {
    "": lambda x: x,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": sigmoid,
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
}


def layer(kind: str, width: int, weights: list[np.ndarray], **said: Any) -> dict[str, Any]:
    """A layer as ``model_utils.save_model_json`` writes it."""
    lists = [w.tolist() for w in weights]
    return {"type": kind, "shape": [None, None, width], "weights": lists, "activation": "", **said}


def written(folder: Path, layers: list[dict[str, Any]], channels: int = 1, **said: Any) -> Path:
    tree = {"in_shape": [None, None, channels], **said, "layers": layers}
    (folder / "net.json").write_text(json.dumps(tree))
    return folder / "net.json"


def agrees(path: Path, x: np.ndarray, expected: np.ndarray) -> tuple[str, ...]:
    """Assert that the import of ``path`` gives ``expected [T, O]`` over ``x [T, I]``."""
    word, imported = taken(path)
    assert word == "rtneural"
    found = rolled(imported, torch.from_numpy(x.astype(np.float32))[None])[0]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    return imported.told


def test_dense_lstm_dense_in_keras_layout(tmp_path: Path) -> None:
    x = drawn(STEPS, 1)
    a, b = (drawn(1, 4), drawn(4)), (drawn(4, 12), drawn(3, 12), drawn(12))
    c = (drawn(3, 1), drawn(1))
    layers = [
        layer("time-distributed-dense", 4, [*a], activation="tanh"),
        layer("lstm", 3, [*b], activation="tanh"),
        layer("dense", 1, [*c]),
    ]
    expected = lstm(np.tanh(x @ a[0] + a[1]), *b) @ c[0] + c[1]
    told = agrees(written(tmp_path, layers), x, expected)
    assert "Keras's layouts" in told[0]


def test_gru_that_resets_after_the_product(tmp_path: Path) -> None:
    x, a = drawn(STEPS, 2), (drawn(2, 15), drawn(5, 15), drawn(2, 15))
    c = (drawn(5, 2),)
    layers = [layer("gru", 5, [*a], activation="tanh"), layer("dense", 2, [*c])]
    agrees(written(tmp_path, layers, channels=2), x, gru(x, *a) @ c[0])


@pytest.mark.parametrize("groups", [1, 2])
def test_convolutions_normalisation_and_slopes(tmp_path: Path, groups: int) -> None:
    x = drawn(STEPS, 4)
    kernel, bias = drawn(3, 4 // groups, 6), drawn(6)
    gamma, beta, mean, var = drawn(6), drawn(6), drawn(6), np.abs(drawn(6)) + 0.1
    bare, alpha = np.abs(drawn(6)), drawn(1, 6)
    layers = [
        layer("conv1d", 6, [kernel, bias], kernel_size=[3], dilation=[2], groups=groups),
        layer("batchnorm", 6, [gamma, beta, mean, var], epsilon=0.01),
        layer("prelu", 6, [alpha]),
        layer("batchnorm", 6, [mean, bare], epsilon=5.0),
    ]
    y = conv(x, kernel, bias, d=2, groups=groups)
    y = gamma * (y - mean) / np.sqrt(var + 0.01) + beta
    y = np.where(y > 0, y, alpha[0] * y)
    told = agrees(written(tmp_path, layers, channels=4), x, (y - mean) / np.sqrt(bare + 5.0))
    assert any("look back alone" in sentence for sentence in told)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name])
def test_functions_after_a_layer_and_alone(tmp_path: Path, name: str) -> None:
    x, a = drawn(STEPS, 3), (drawn(3, 4), drawn(4))
    after = [layer("dense", 4, [*a], activation=name)]
    alone = [layer("dense", 4, [*a]), layer("activation", 4, [], activation=name)]
    for layers in (after, alone):
        expected = FUNCTIONS[name](x @ a[0] + a[1])
        agrees(written(tmp_path, layers, channels=3), x, expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_gains_and_the_added_input_of_aida_x(tmp_path: Path, channels: int) -> None:
    x, a = drawn(STEPS, channels), (drawn(channels, 8), drawn(2, 8), drawn(8))
    c = (drawn(2, 1), drawn(1))
    said = {"in_skip": 1, "in_gain": 6.0, "out_gain": -3.0, "metadata": {"samplerate": "48000"}}
    path = written(
        tmp_path, [layer("lstm", 2, [*a]), layer("dense", 1, [*c])], channels=channels, **said
    )
    scaled = x.copy()
    scaled[:, 0] *= 10 ** (6 / 20)
    expected = (lstm(scaled, *a) @ c[0] + c[1] + scaled[:, :1]) * 10 ** (-3 / 20)
    told = agrees(path, x, expected)
    assert any("is added to the first channel" in sentence for sentence in told)
    assert told[-1].endswith("48,000 samples a second")


@pytest.mark.parametrize(("unit", "skip"), [("LSTM", 1), ("GRU", 0), ("RNN", 1)])
@pytest.mark.parametrize("inputs", [1, 2])
def test_state_dicts_of_neuralpi_in_torch_layout(
    tmp_path: Path, unit: str, skip: int, inputs: int
) -> None:
    torch.manual_seed(3)
    rec = getattr(nn, unit)(inputs, 6, num_layers=2, batch_first=True)
    lin = nn.Linear(6, 1)
    state = {f"rec.{k}": v.tolist() for k, v in rec.state_dict().items()}
    state |= {f"lin.{k}": v.tolist() for k, v in lin.state_dict().items()}
    data = {"model": "SimpleRNN", "input_size": inputs, "unit_type": unit, "skip": skip}
    path = tmp_path / "amp.json"
    path.write_text(json.dumps({"model_data": data, "state_dict": state}))
    x = torch.randn(1, STEPS, inputs)
    with torch.no_grad():
        expected = (lin(rec(x)[0]) + skip * x[..., :1])[0].numpy()
    told = agrees(path, x[0].numpy(), expected)
    assert "torch's layouts" in told[0]


def test_a_bare_state_dict_goes_to_the_plain_family(tmp_path: Path) -> None:
    """As RTNeural's ``lstm_torch.py`` writes it."""
    torch.manual_seed(4)
    parts = {"lstm": nn.LSTM(1, 8), "lstm2": nn.LSTM(8, 8, num_layers=3), "dense": nn.Linear(8, 1)}
    state = {
        f"{p}.{k}": v.tolist() for p, net in parts.items() for k, v in net.state_dict().items()
    }
    (tmp_path / "net.json").write_text(json.dumps(state))
    word, imported = taken(tmp_path / "net.json", settings={"order": "lstm,lstm2,dense"})
    x = torch.randn(1, STEPS, 1)
    with torch.no_grad():
        y = parts["lstm2"](parts["lstm"](x.transpose(0, 1))[0])[0]
        expected = parts["dense"](y).transpose(0, 1).numpy()
    assert word == "plain"
    np.testing.assert_allclose(rolled(imported, x), expected, atol=2e-6)


DENSE = layer("dense", 2, [drawn(1, 2), drawn(2)])
LSTM = layer("lstm", 2, [drawn(1, 8), drawn(2, 8), drawn(8)])


@pytest.mark.parametrize(
    ("layers", "said", "why"),
    [
        ([{"type": "conv2d"}], {}, "type 'conv2d', expected one of dense"),
        ([{"type": "unknown"}], {}, "type 'unknown'"),
        ([7], {}, "type 7"),
        ([], {}, "has 0 layers"),
        ([DENSE] * 65, {}, "has 65 layers"),
        ([DENSE, DENSE], {}, r"layer 1 \(dense\) has weights \[1, 2\], expected \[2, 2\]"),
        ([{**DENSE, "weights": []}], {}, "has 0 arrays"),
        ([{**DENSE, "weights": DENSE["weights"] * 2}], {}, "has 4 arrays"),
        ([{**DENSE, "weights": [[1.0]]}], {}, r"shapes \[\[1\]\]"),
        ([{**DENSE, "activation": "gelu"}], {}, "'gelu', expected one of tanh"),
        ([{**LSTM, "activation": "relu"}], {}, "'relu', expected tanh"),
        ([{**LSTM, "weights": [[[0.0] * 8], [[0.0] * 8] * 2, [0.0] * 7]}], {}, r"\[7\]"),
        ([layer("gru", 2, [drawn(1, 6), drawn(2, 6), drawn(6)])], {}, r"shapes"),
        ([layer("conv1d", 1, [drawn(3, 1, 1)], kernel_size=[4])], {}, r"expected \[4, 1, 1\]"),
        ([layer("conv1d", 1, [drawn(3, 1, 1)])], {}, "kernel_size None"),
        ([layer("conv1d", 1, [drawn(1, 1, 1)], kernel_size=1, groups=3)], {}, "3 groups"),
        ([layer("batchnorm", 1, [drawn(1), drawn(1)])], {}, "epsilon None"),
        ([DENSE], {"in_skip": 1}, "adds its input to 2 outputs"),
        ([DENSE], {"in_gain": "loud"}, "in_gain is 'loud'"),
        ([{"type": "conv2d"}], {"in_shape": [None, 8, 8, 1]}, "type 'conv2d'"),
        ([DENSE], {"in_shape": [None, 0]}, "in_shape is"),
        ([DENSE], {"in_shape": [None, 8, 8, 1]}, "in_shape is"),
    ],
)
def test_what_is_not_taken_is_named(
    tmp_path: Path, layers: list[Any], said: dict[str, Any], why: str
) -> None:
    with pytest.raises(CheckpointError, match=why):
        taken(written(tmp_path, layers, **said))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unit_type": "WaveNet"}, "unit_type is 'WaveNet'"),
        ({"bidirectional": True}, "bidirectional"),
        ({"skip": 2}, "skip is 2"),
        ({}, "no rec.weight_ih_l0"),
    ],
)
def test_other_state_dicts_are_named(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    state = {"lin.weight": [[0.5]], "lin.bias": [0.1]}
    if change:
        state |= {"rec.weight_ih_l0": [[0.1]] * 4, "rec.weight_hh_l0": [[0.1]] * 4}
    data = {"unit_type": "LSTM", "skip": 1, **change}
    (tmp_path / "a.json").write_text(json.dumps({"model_data": data, "state_dict": state}))
    with pytest.raises(CheckpointError, match=why):
        taken(tmp_path / "a.json")
