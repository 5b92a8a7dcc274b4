"""The layouts of weights that no Keras of today writes, against the published equations in plain
float64 numpy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("h5py")

from keras_files import write_h5

from edgernn.containers.reading import read
from edgernn.importers.base import Opened
from edgernn.importers.keras.importer import KerasImporter
from edgernn.models.layered.network import Network

I, H, T = 3, 4, 20  # noqa: E741


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-a))


def _hard(a: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * a + 0.5, 0, 1)


def _lstm(x, w, u, b, gate=_sigmoid):
    """``w``, ``u``, ``b``: gate → its matrix ``[H, I]``, ``[H, H]`` and bias."""
    h, c, made = np.zeros(H), np.zeros(H), []
    for frame in x:
        a = {k: w[k] @ frame + u[k] @ h + b[k] for k in "ifco"}
        c = gate(a["f"]) * c + gate(a["i"]) * np.tanh(a["c"])
        h = gate(a["o"]) * np.tanh(c)
        made.append(h)
    return np.array(made)


def _gru(x, w, u, b, bu, *, after: bool, gate=_sigmoid):
    h, made = np.zeros(H), []
    for frame in x:
        z, r = (gate(w[k] @ frame + b[k] + u[k] @ h + bu[k]) for k in "zr")
        inner = r * (u["h"] @ h + bu["h"]) if after else u["h"] @ (r * h) + bu["h"]
        h = z * h + (1 - z) * np.tanh(w["h"] @ frame + b["h"] + inner)
        made.append(h)
    return np.array(made)


def _drawn(gates: str, seed: int):
    rng = np.random.default_rng(seed)
    w, u = ({k: rng.normal(0, 0.5, (H, n)).astype("f4") for k in gates} for n in (I, H))
    b, bu = ({k: rng.normal(0, 0.5, H).astype("f4") for k in gates} for _ in range(2))
    return w, u, b, bu, rng.normal(size=(T, I)).astype("f4")


def _run(path: Path, x: np.ndarray) -> np.ndarray:
    made = KerasImporter().read(Opened(read(path)))
    model = Network(made.config).eval()
    model.load_state_dict({name: torch.tensor(value) for name, value in made.tensors.items()})
    state, frames = model.initial_state(1), []
    for frame in x:
        with torch.no_grad():
            y, *state = model.graph("step", torch.tensor(frame)[None, None], *state)
        frames.append(y[0, 0].numpy())
    return np.array(frames)


def _config(name: str, **more: object) -> dict[str, object]:
    shape = [None, None, I]
    return {"name": name, "batch_input_shape": shape, "return_sequences": True, **more}


def _cudnn(matrix: np.ndarray) -> np.ndarray:
    """A gate's matrix ``[H, N]``, row by row, as the block ``[N, H]`` of Keras' variable."""
    rows, columns = matrix.shape
    return matrix.ravel().reshape(columns, rows)


def test_cudnn_lstm(tmp_path: Path) -> None:
    w, u, b, bu, x = _drawn("ifco", 1)
    arrays = {
        "kernel:0": np.concatenate([_cudnn(w[k]) for k in "ifco"], 1),
        "recurrent_kernel:0": np.concatenate([_cudnn(u[k]) for k in "ifco"], 1),
        "bias:0": np.concatenate([*(b[k] for k in "ifco"), *(bu[k] for k in "ifco")]),
    }
    path = write_h5(tmp_path / "net.h5", [("CuDNNLSTM", _config("rnn"), arrays)])
    wanted = _lstm(x, w, u, {k: b[k].astype(float) + bu[k] for k in "ifco"})
    assert np.abs(_run(path, x) - wanted).max() < 1e-6


def test_cudnn_gru(tmp_path: Path) -> None:
    w, u, b, bu, x = _drawn("zrh", 2)
    arrays = {
        "kernel:0": np.concatenate([_cudnn(w[k]) for k in "zrh"], 1),
        "recurrent_kernel:0": np.concatenate([_cudnn(u[k]) for k in "zrh"], 1),
        "bias:0": np.concatenate([*(b[k] for k in "zrh"), *(bu[k] for k in "zrh")]),
    }
    path = write_h5(tmp_path / "net.h5", [("CuDNNGRU", _config("rnn"), arrays)])
    assert np.abs(_run(path, x) - _gru(x, w, u, b, bu, after=True)).max() < 1e-6


@pytest.mark.parametrize("after", [False, True])
def test_gru_of_both_kinds(tmp_path: Path, after: bool) -> None:
    w, u, b, bu, x = _drawn("zrh", 3)
    bu = bu if after else {k: np.zeros(H, "f4") for k in "zrh"}
    rows = [np.concatenate([bias[k] for k in "zrh"]) for bias in (b, bu)]
    arrays = {
        "kernel:0": np.concatenate([w[k].T for k in "zrh"], 1),
        "recurrent_kernel:0": np.concatenate([u[k].T for k in "zrh"], 1),
        "bias:0": np.stack(rows) if after else rows[0],
    }
    config = _config("rnn", reset_after=after)
    path = write_h5(tmp_path / "net.h5", [("GRU", config, arrays)])
    assert np.abs(_run(path, x) - _gru(x, w, u, b, bu, after=after)).max() < 1e-6


def test_keras_1_keeps_each_gate_apart(tmp_path: Path) -> None:
    w, u, b, _, x = _drawn("icfo", 4)
    arrays = {
        f"rnn_{part}_{k}": array[k].T
        for k in "icfo"
        for part, array in (("W", w), ("U", u), ("b", b))
    }
    config = _config("rnn", output_dim=H, inner_activation="hard_sigmoid", activation="tanh")
    path = write_h5(tmp_path / "net.h5", [("LSTM", config, arrays)], version="1.2.2")
    assert np.abs(_run(path, x) - _lstm(x, w, u, b, gate=_hard)).max() < 1e-6


def test_keras_1_gru_resets_before_the_product(tmp_path: Path) -> None:
    w, u, b, _, x = _drawn("zrh", 5)
    arrays = {
        f"rnn_{part}_{k}": array[k].T
        for k in "zrh"
        for part, array in (("W", w), ("U", u), ("b", b))
    }
    config = _config("rnn", output_dim=H, inner_activation="sigmoid", activation="tanh")
    path = write_h5(tmp_path / "net.h5", [("GRU", config, arrays)], version="1.2.2")
    zeros = {k: np.zeros(H) for k in "zrh"}
    assert np.abs(_run(path, x) - _gru(x, w, u, b, zeros, after=False)).max() < 1e-6


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4", "3.1.0"])
def test_hard_sigmoid_is_another_function_since_keras_3(version: str, tmp_path: Path) -> None:
    w, u, b, _, x = _drawn("ifco", 6)
    joined = {name: np.concatenate([of[k] for k in "ifco"]) for name, of in (("w", w), ("u", u))}
    arrays = {
        "kernel:0": joined["w"].T,
        "recurrent_kernel:0": joined["u"].T,
        "bias:0": np.concatenate([b[k] for k in "ifco"]),
    }
    said = {} if version[0] == "1" else {"recurrent_activation": "hard_sigmoid"}  # its default
    path = write_h5(
        tmp_path / "net.h5", [("LSTM", _config("rnn", **said), arrays)], version=version
    )
    gate = _hard if version[0] < "3" else lambda a: np.clip(a / 6 + 0.5, 0, 1)
    assert np.abs(_run(path, x) - _lstm(x, w, u, b, gate=gate)).max() < 1e-6
