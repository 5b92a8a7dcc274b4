"""JSON files of weights, as their exporters write them; what is no weights is refused or plain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from edgernn.containers.reading import read
from edgernn.containers.walk import tensors
from edgernn.errors import DataError


def written(folder: Path, value: object) -> Path:
    path = folder / "net.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_state_dict_in_json(tmp_path: Path) -> None:
    state = nn.Sequential(nn.LSTM(1, 4), nn.BatchNorm1d(4)).state_dict()
    named = {name: tensor.numpy() for name, tensor in state.items()}
    model = {"model_data": {"unit_type": "LSTM", "hidden_size": 4}}
    lists = {name: array.tolist() for name, array in named.items()}
    content = read(written(tmp_path, {**model, "state_dict": lists}))
    assert content.tree["model_data"] == model["model_data"]
    steps = content.tree["state_dict"].pop("1.num_batches_tracked")
    assert steps == 0
    for name, array in content.tree["state_dict"].items():
        np.testing.assert_array_equal(array.astype(np.float32), named[name])
    assert "state_dict.0.weight_ih_l0" in tensors(content.tree)


def test_a_nam_file_keeps_its_config_plain(tmp_path: Path) -> None:
    nam = {
        "version": "0.5.4",
        "architecture": "WaveNet",
        "config": {"dilations": [1, 2, 4]},
        "weights": [0.5, 1, -2e-3],
    }
    content = read(written(tmp_path, nam))
    assert content.container.startswith("neural-amp-modeler")
    assert content.tree["config"] == {"dilations": [1, 2, 4]}
    np.testing.assert_array_equal(content.tree["weights"], [0.5, 1, -2e-3])


def test_a_file_of_rtneural_has_a_list_of_arrays_a_layer(tmp_path: Path) -> None:
    layer = {
        "type": "gru",
        "activation": "tanh",
        "shape": [None, 100, 2],
        "weights": [[[1, 2, 3, 4, 5, 6]], [[0.5] * 6] * 2, [[0] * 6] * 2],
    }
    prelu = {"type": "prelu", "shape": [None, 100, 2], "weights": [[[0.1, 0.2]]]}
    content = read(written(tmp_path, {"in_shape": [None, 100, 1], "layers": [layer, prelu]}))
    assert content.container == "RTNeural JSON"
    found = content.tree["layers"]
    assert [w.shape for w in found[0]["weights"]] == [(1, 6), (2, 6), (2, 6)]
    assert found[0]["shape"] == [None, 100, 2]
    np.testing.assert_array_equal(found[1]["weights"][0], [[0.1, 0.2]])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"w": [[1, 2], [3]]}, "'w' are of unequal lengths"),
        ({"a": {"w": [[1, 2], 3]}}, "'a.w' are of unequal lengths"),
        ({"w": [1, None]}, "mixed with NoneType"),
        ({"w": [1, True]}, "mixed with bool"),
        ({"w": [1, "2"]}, "mixed with str"),
        ({"w": [1, [2]]}, "mixed with list"),
        ({"w": [[[[[[[[[1]]]]]]]]]}, "too deep"),
        ('{"w": [NaN]}', "NaN"),
        ('{"w": [1e999]}', "larger than any float64"),
        ('{"w": [9223372036854775808]}', "more than 63 bits"),
        ('{"w": 1, "w": 2}', "stands twice"),
        ('{"w": ' + "[" * 100_000, "nested|damaged"),
        ('{"w": ' + "[" * 80 + "]" * 80 + "}", "nested more than 64 deep"),
        ('{"w": [1, 2', "damaged"),
    ],
)
def test_what_is_no_weights_is_refused(tmp_path: Path, value: object, why: str) -> None:
    with pytest.raises(DataError, match=why):
        read(written(tmp_path, value))


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = json.dumps({"in_shape": [None, 1], "layers": [{"type": "dense", "weights": [[1.5]]}]})
    for length in range(1, len(whole)):
        with pytest.raises(DataError):
            read(written(tmp_path, whole[:length]))


def test_the_lists_of_an_architecture_of_keras_stay_lists(tmp_path: Path) -> None:
    config = {"layers": [{"config": {"batch_input_shape": [2, 1, 5], "kernel_size": [3]}}]}
    written = {"class_name": "Sequential", "config": config}
    path = tmp_path / "net.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    assert read(path).tree == written
