"""``.nam`` files: written as upstream's ``_export_weights`` writes them, against torch's LSTM."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from upstream_language import rolled, taken

from edgernn.errors import CheckpointError
from edgernn.importers.importing import import_checkpoint

CASES = Path(os.environ.get("EDGERNN_CASES", "")) / "foreign"


def upstream(inputs: int, hidden: int, layers: int) -> tuple[dict[str, Any], nn.LSTM, nn.Linear]:
    """Return the file of such a network, and its parts; the stored start is drawn."""
    torch.manual_seed(11)
    core, head = nn.LSTM(inputs, hidden, layers, batch_first=True), nn.Linear(hidden, 1)
    for parameter in (*core.parameters(), *head.parameters()):
        nn.init.uniform_(parameter, -0.6, 0.6)
    weights = list[torch.Tensor]()
    core.start = torch.rand(2, layers, hidden) - 0.5  # h, c
    for layer in range(layers):
        part = {kind: getattr(core, f"{kind}_l{layer}") for kind in ("weight_ih", "weight_hh")}
        weights += [torch.cat([part["weight_ih"], part["weight_hh"]], 1)]
        weights += [getattr(core, f"bias_ih_l{layer}") + getattr(core, f"bias_hh_l{layer}")]
        weights += [core.start[0, layer], core.start[1, layer]]
    weights += [head.weight, head.bias]
    flat = torch.cat([w.detach().flatten() for w in weights])
    config = {"input_size": inputs, "hidden_size": hidden, "num_layers": layers}
    nam = {"version": "0.5.4", "architecture": "LSTM", "config": config, "weights": flat.tolist()}
    return {**nam, "metadata": {"name": "amp"}, "sample_rate": 44100.0}, core, head


def written(folder: Path, nam: dict[str, Any]) -> Path:
    (folder / "amp.nam").write_text(json.dumps(nam))
    return folder / "amp.nam"


@pytest.mark.parametrize(("inputs", "hidden", "layers"), [(1, 6, 1), (1, 5, 2), (3, 4, 3)])
def test_a_file_gives_what_the_module_gives_from_its_start(
    tmp_path: Path, inputs: int, hidden: int, layers: int
) -> None:
    nam, core, head = upstream(inputs, hidden, layers)
    word, imported = taken(written(tmp_path, nam))
    x = torch.randn(2, 9, inputs)
    start = core.start[:, :, None].expand(-1, -1, 2, -1).contiguous()
    with torch.no_grad():
        expected = head(core(x, (start[0], start[1]))[0]).numpy()
    assert word == "nam"
    np.testing.assert_allclose(rolled(imported, x), expected, atol=1e-5)
    told = " ".join(imported.told)
    assert "48,000 samples of silence" in told and "44,100 samples a second" in told
    step = imported.config.contract().step
    assert step.inputs[0].axes == ("batch", "time", "channels")
    assert step.outputs[0].axes == ("batch", "time", "outputs")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"architecture": "WaveNet"}, "architecture WaveNet, expected LSTM"),
        ({"architecture": "ConvNet"}, "architecture ConvNet, expected LSTM"),
        ({"config": {"input_size": 1, "hidden_size": 7, "num_layers": 1}}, "its config asks for"),
        ({"config": {"hidden_size": 0}}, "hidden_size 0"),
        ({"config": {"hidden_size": True}}, "hidden_size True"),
        ({"config": {"hidden_size": 1 << 40}}, "hidden_size 1099511627776"),
        ({"config": {"hidden_size": 6, "num_layers": 10**9}}, "num_layers 1000000000"),
        ({"weights": [[1.0], [2.0]]}, "no flat list"),
        ({"weights": [1.0, 2.0]}, "has 2 weights"),
        ({"weights": []}, "no flat list"),
    ],
)
def test_other_architectures_and_misfits_are_refused_by_name(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    nam, _, _ = upstream(1, 6, 1)
    with pytest.raises(CheckpointError, match=why):
        taken(written(tmp_path, {**nam, **change}))


@pytest.mark.skipif("EDGERNN_CASES" not in os.environ, reason="EDGERNN_CASES names no folder")
def test_the_recorded_case(tmp_path: Path) -> None:
    path, run = CASES / "checkpoints/nam_lstm.nam", CASES / "data/nam_lstm.npz"
    found = import_checkpoint(path, tmp_path / "run", check=f"{run}:of_the_file")
    assert max(each.worst for each in found.compared) < 1e-6
