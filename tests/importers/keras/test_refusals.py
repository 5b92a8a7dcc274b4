"""What a Keras model can hold and its step cannot: named, in one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py")

from keras_files import Layer, write_h5

from edgernn.cli.inspection import inspect_path
from edgernn.containers.content import Content
from edgernn.containers.reading import read
from edgernn.errors import CheckpointError, EdgernnError, UsageError
from edgernn.importers.base import Opened, Wishes
from edgernn.importers.keras.architecture import read_architecture
from edgernn.importers.keras.importer import KerasImporter

SHAPE = [None, None, 3]


def _gru(**config: Any) -> Layer:
    arrays = {
        "kernel:0": np.ones((3, 12), "f4"),
        "recurrent_kernel:0": np.ones((4, 12), "f4"),
        "bias:0": np.ones(12, "f4"),
    }
    shown = {"name": "rnn", "batch_input_shape": SHAPE, "return_sequences": True, **config}
    return "GRU", shown, arrays


def _after(kind: str, **config: Any) -> list[Layer]:
    return [_gru(), (kind, {"name": "next", **config}, {})]


def _with(layer: Layer, name: str, array: np.ndarray) -> Layer:
    kind, config, arrays = layer
    return kind, config, {**arrays, name: array}


CASES = {
    "code of one's own": (_after("Lambda"), "Lambda.*of no class that is taken"),
    "both directions": (_after("Bidirectional"), "both directions of time"),
    "both directions behind another that is not taken": (
        [_gru(), ("Lambda", {"name": "next"}, {}), ("Bidirectional", {"name": "last"}, {})],
        "'last'.*both directions of time",
    ),
    "backwards": ([_gru(go_backwards=True)], "backwards, from the end of time"),
    "its state as a result": ([_gru(return_state=True)], "gives its state"),
    "a function of one's own": ([_gru(activation="mine")], "mine"),
    "frames to come": (
        [("Conv1D", {"name": "conv", "batch_input_shape": SHAPE, "padding": "same"}, {})],
        "'same'.*expected causal",
    ),
    "no time": ([_gru(batch_input_shape=[None, 3])], r"\[None, 3\], expected \[batch, time, width"),
    "two of one name": ([_gru(), _gru()], "two layers .* have one name"),
    "other units": ([_gru(units=5)], "has units 5, and weights of 4 units with the bias"),
    "a bias that it has not": ([_gru(use_bias=False)], "has use_bias False, and weights"),
    "two biases where it has one": (
        [_with(_gru(reset_after=False), "bias:0", np.ones((2, 12), "f4"))],
        r"has reset_after False, .*bias \[2, 12\]",
    ),
    "no weights": ([("GRU", _gru()[1], {})], "0 variables"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_and_why(case: str, tmp_path: Path) -> None:
    layers, told = CASES[case]
    path = write_h5(tmp_path / "net.h5", layers)
    with pytest.raises(EdgernnError, match=told) as caught:
        made = KerasImporter().read(Opened(read(path)))
        made.config.contract()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ["code of one's own", "both directions", "backwards"])
def test_inspect_says_it_before_anything_is_read(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers, told = CASES[case]
    path = write_h5(tmp_path / "net.h5", layers)
    inspect_path(path, as_json=False)
    assert re.search(f"it is not taken: .*{told}", capsys.readouterr().out)
    inspect_path(write_h5(tmp_path / "good.h5", [_gru()]), as_json=False)
    assert "take it in with: edgernn import" in capsys.readouterr().out


def test_weights_alone_ask_for_their_architecture(tmp_path: Path) -> None:
    import h5py

    path = write_h5(tmp_path / "net.h5", [_gru()])
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
    with pytest.raises(UsageError, match="--with FILE"):
        KerasImporter().read(Opened(read(path)))


def test_a_vocabulary_for_a_network_without_text(tmp_path: Path) -> None:
    words = tmp_path / "words.json"
    words.write_text('["a", "b"]', encoding="utf-8")
    opened = Opened(read(write_h5(tmp_path / "net.h5", [_gru()])), (), Wishes(vocabulary=words))
    with pytest.raises(UsageError, match="no language model"):
        KerasImporter().read(opened)


def _functional(*nodes: tuple[str, list[Any]]) -> dict[str, Any]:
    layers = [
        {"class_name": "Dense", "name": name, "config": {"name": name}, "inbound_nodes": calls}
        for name, calls in nodes
    ]
    ends = {"input_layers": [["a", 0, 0]], "output_layers": [["b", 0, 0]]}
    return {"class_name": "Model", "config": {"layers": layers, **ends}}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"class_name": "MyModel", "config": {}}, "MyModel.*keeps its structure in code"),
        ([1, 2], "list"),
        ({"class_name": "Sequential", "config": {}}, "has no layers"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "has no layer"),
        (_functional(("a", [[["b", 0, 0, {}]]]), ("b", [[["a", 0, 0, {}]]])), "take each other"),
        (_functional(("a", []), ("b", [[["c", 0, 0, {}]]])), "not there"),
        (_functional(("a", []), ("b", [[["a", 0, 0]], [["a", 1, 0]]])), "called 2 times"),
        (_functional(("a", []), ("b", [[["a", 0, 1, {}]]])), "a state"),
        (_functional(("a", []), ("c", [[["a", 0, 0, {}]]])), "'b' that it has not"),
    ],
)
def test_descriptions_of_no_network(config: Any, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        read_architecture(json.loads(json.dumps(config)))


def test_a_state_that_keras_carried_is_not_told_as_one_of_zeros(tmp_path: Path) -> None:
    def told(**config: Any) -> str:
        path = write_h5(tmp_path / "net.h5", [_gru(batch_input_shape=[2, 7, 3], **config)])
        return " ".join(KerasImporter().read(Opened(read(path))).told)

    assert "reset the state every 7 frames" in told()
    assert "reset" not in told(stateful=True)


def test_cells_have_no_last_frame(tmp_path: Path) -> None:
    _, config, arrays = _gru()
    inner = {"class_name": "GRUCell", "config": {"name": "cell", "units": 4}}
    layer = ("RNN", {**config, "cell": inner}, arrays)
    path = write_h5(tmp_path / "net.h5", [layer])
    assert "last frame" not in " ".join(KerasImporter().read(Opened(read(path))).told)


def test_weights_alone_are_told_before_anything_is_read() -> None:
    content = Content(Path("net.weights.h5"), "HDF5", {"config": None, "layers": {}, "names": {}})
    assert "with --with FILE.json" in KerasImporter().refusal(Opened(content))
    beside = Content(Path("net.json"), "JSON", {"class_name": "Sequential"})
    assert KerasImporter().refusal(Opened(content, (beside,))) == ""
