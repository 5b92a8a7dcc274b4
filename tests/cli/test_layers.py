"""What is told of a network of layers, from its description."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgernn.cli.inspection import inspect_path
from edgernn.cli.layers import layers_of, others_of
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.layered.network import Network


def test_a_network_is_told_layer_by_layer(make_network: Callable[..., Network]) -> None:
    model = make_network().config.model_dump()
    assert layers_of(model)[1] == ("step", "rnn0", "recurrent", "embedding", "cell lstm, hidden 8")
    assert "layers" not in others_of(model)
    assert others_of(model)["inputs"] == "tokens int64[batch, time] below vocab"


@pytest.mark.parametrize("layers", [None, 3, "lstm", [1, 2], ["a"], {}])
def test_what_describes_no_layers_is_told_as_it_is(layers: Any) -> None:
    assert layers_of({"layers": layers}) == []
    assert others_of({"layers": layers, "hidden": 8})["hidden"] == "8"


def test_inspect_of_a_run_without_vocabulary(
    make_network: Callable[..., Network], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = [
        {
            "name": "rnn",
            "kind": "recurrent",
            "inputs": ["x"],
            "options": {"cell": "gru", "hidden": 4},
        }
    ]
    frames = [{"name": "x", "axes": ["batch", "time", "width"]}]
    network = make_network(
        family="module", inputs=frames, sizes={"width": 2}, layers=layers, outputs={"y": "rnn"}
    )
    save(Checkpoint(network, None), tmp_path / "run")
    inspect_path(tmp_path / "run", as_json=False)
    told = capsys.readouterr().out
    assert "no tokenizer" in told
    assert "recurrent" in told
    assert "cell gru, hidden 4" in told
