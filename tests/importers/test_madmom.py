"""madmom's pickled networks, made here by classes of its names, against float64 numpy of the
equations in its ``layers.py``.
"""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgernn.containers.reading import read
from edgernn.errors import CheckpointError, EdgernnError
from edgernn.importers.base import Opened
from edgernn.importers.importing import import_checkpoint
from edgernn.importers.madmom import Madmom

I, H, T = 3, 4, 12  # noqa: E741
_CLASSES = {
    "madmom.ml.nn": ("NeuralNetwork",),
    "madmom.ml.nn.layers": (
        *("FeedForwardLayer", "RecurrentLayer", "LSTMLayer", "GRULayer", "BidirectionalLayer"),
        *("Gate", "Cell", "GRUCell", "ConvolutionalLayer"),
    ),
}


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def tanh(a: Any) -> Any:
    return np.tanh(a)


def sigmoid(a: Any) -> Any:
    return _sigmoid(a)


def linear(a: Any) -> Any:
    return a


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make objects of madmom's classes: ``make(NAME, **attributes)``."""
    made: dict[str, type] = {}
    for name in ("madmom", "madmom.ml", *_CLASSES, "madmom.ml.nn.activations"):
        module = types.ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        for word in _CLASSES.get(name, ()):
            made[word] = type(word, (), {"__module__": name})
            setattr(module, word, made[word])
    for function in (tanh, sigmoid, linear):
        monkeypatch.setattr(function, "__module__", "madmom.ml.nn.activations")
        setattr(sys.modules["madmom.ml.nn.activations"], function.__name__, function)

    def of(name: str, **attributes: Any) -> Any:
        found = made[name]()
        found.__dict__.update(attributes)
        return found

    return of


def _drawn(seed: int, inputs: int, *, peephole: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {"weights": (inputs, H), "recurrent_weights": (H, H), "bias": (H,)}
    shapes |= {"peephole_weights": (H,)} if peephole else {}
    return {name: rng.normal(0, 0.6, shape).astype("f4") for name, shape in shapes.items()}


def _a(gate: dict[str, np.ndarray], x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return x @ gate["weights"].astype("f8") + gate["bias"] + h @ gate["recurrent_weights"]


def _saved(make: Any, folder: Path, layers: list[Any], protocol: int = 2) -> Path:
    path = folder / "net.pkl"
    path.write_bytes(pickle.dumps(make("NeuralNetwork", layers=layers), protocol))
    return path


def _check(path: Path, x: np.ndarray, y: np.ndarray, folder: Path) -> None:
    recorded = folder / "run.npz"
    np.savez(recorded, **{"in/x": x, "out/y": y})
    taken = import_checkpoint(path, folder / "run", check=recorded, tolerance=1e-6)
    assert taken.family == "madmom"


@pytest.mark.parametrize("stored", [False, True])
def test_an_lstm_whose_gates_see_the_cell(stored: bool, make: Any, tmp_path: Path) -> None:
    i, f, o = (_drawn(seed, I, peephole=True) for seed in range(3))
    g, head = _drawn(3, I), {"weights": np.ones((H, 1), "f4"), "bias": np.float32([0.5])}
    starts = np.random.default_rng(9).normal(size=(2, H)).astype("f4") * stored
    gates = {
        f"{name}_gate": make("Gate", **gate, activation_fn=sigmoid)
        for name, gate in (("input", i), ("forget", f), ("output", o))
    }
    cell = make("Cell", **g, peephole_weights=None, activation_fn=tanh)
    first = {"init": starts[0], "cell_init": starts[1]} if stored else {}
    layers = [
        make("LSTMLayer", **gates, cell=cell, activation_fn=tanh, **first),
        make("FeedForwardLayer", **head, activation_fn=sigmoid),
    ]
    x = np.random.default_rng(8).normal(size=(T, I)).astype("f4")
    (h, c), made = starts.astype("f8"), []
    for frame in x:
        ig, fg = (_sigmoid(_a(gate, frame, h) + c * gate["peephole_weights"]) for gate in (i, f))
        c = np.tanh(_a(g, frame, h)) * ig + c * fg
        h = np.tanh(c) * _sigmoid(_a(o, frame, h) + c * o["peephole_weights"])
        made.append(_sigmoid(h @ head["weights"] + head["bias"]))
    _check(_saved(make, tmp_path, layers), x, np.float32(made), tmp_path)


@pytest.mark.parametrize("protocol", [0, 2])
def test_a_gru_over_a_layer_of_one_gate(protocol: int, make: Any, tmp_path: Path) -> None:
    below, r, u = _drawn(0, I), _drawn(1, H), _drawn(2, H)
    n, first = _drawn(3, H), np.float32([0.1, -0.2, 0.3, 0.4])
    gates = {
        f"{name}_gate": make("Gate", **gate, activation_fn=sigmoid)
        for name, gate in (("reset", r), ("update", u))
    }
    layers = [
        make("RecurrentLayer", **below, activation_fn=sigmoid),
        make("GRULayer", **gates, cell=make("GRUCell", **n, activation_fn=tanh), hid_init=first),
        make("FeedForwardLayer", weights=np.eye(H, dtype="f4"), bias=0.0, activation_fn=linear),
    ]
    x = np.random.default_rng(8).normal(size=(T, I)).astype("f4")
    low, h, made = np.zeros(H), first.astype("f8"), []
    for frame in x:
        low = _sigmoid(_a(below, frame, low))
        reset, update = (_sigmoid(_a(gate, low, h)) for gate in (r, u))
        inner = low @ n["weights"] + n["bias"] + reset * (h @ n["recurrent_weights"])
        h = update * np.tanh(inner) + (1 - update) * h
        made.append(h)
    _check(_saved(make, tmp_path, layers, protocol), x, np.float32(made), tmp_path)


def test_what_has_no_step_is_refused_and_inspect_knows_it(make: Any, tmp_path: Path) -> None:
    plain = make("RecurrentLayer", **_drawn(0, I), activation_fn=tanh)
    cases = {
        "both directions of time": [make("BidirectionalLayer", fwd_layer=plain, bwd_layer=plain)],
        "kind that is not taken": [make("ConvolutionalLayer"), plain],
        "without a recurrent layer": [
            make("FeedForwardLayer", weights=np.ones((2, 2), "f4"), bias=0.0, activation_fn=tanh)
        ],
        "without layers": [],
    }
    for told, layers in cases.items():
        opened = Opened(read(_saved(make, tmp_path, layers)))
        assert told in Madmom().refusal(opened)
        with pytest.raises(CheckpointError, match=told):
            Madmom().read(opened)


@pytest.mark.parametrize("broken", ["weights", "recurrent_weights", "bias", "activation_fn"])
def test_a_damaged_layer_is_refused_in_one_line(broken: str, make: Any, tmp_path: Path) -> None:
    parts = {**_drawn(0, I), "activation_fn": tanh, broken: np.ones((2, 2, 2), "f4")}
    path = _saved(make, tmp_path, [make("RecurrentLayer", **parts)])
    with pytest.raises(EdgernnError) as caught:
        import_checkpoint(path, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
