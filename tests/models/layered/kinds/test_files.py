"""One network of the layers that keep something over time, deep stacks among them, in every
format, whose files pass every check.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint, save
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.parity.verify import verify_bundle
from tests.models.layered.networks import layer

PICTURES = {
    "name": "frames",
    "dtype": "uint8",
    "axes": ["batch", "time", "height", "width", "channels"],
}
HIGHWAY = {"cell": "gru_before", "hidden": 16, "layers": 2, "between": "highway"}
RESIDUAL = {"cell": "lstm", "hidden": 16, "layers": 2, "between": "residual"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network, saved; no parameter is zero, so that a lost one shows."""
    layers = [
        layer("numbers", "frames", "frames"),
        layer("maps", "conv_lstm", "numbers", width=3, peepholes=True, normalise=True),
        layer("vector", "frame_vector", "maps", by="mean"),
        layer("tcn", "causal_convolution", "vector", hidden=16, layers=2),
        layer("residual", "recurrent", "tcn", **RESIDUAL),
        layer("added", "linear", "vector", width=3 * 16),
        layer("highway", "recurrent", "residual", "added", **HIGHWAY),
        layer("scores", "linear", "highway", width=4),
    ]
    described = {
        "family": "module",
        "inputs": [PICTURES],
        "sizes": {"height": 4, "width": 5, "channels": 2},
        "layers": layers,
        "outputs": {"y": "scores"},
    }
    torch.manual_seed(5)
    network = Network(NetworkConfig.model_validate(described)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.get_buffer("layers.maps.norm.running_mean").uniform_(-0.3, 0.3)
    folder = tmp_path_factory.mktemp("stacks") / "run"
    save(Checkpoint(network, None), folder)
    return folder


@pytest.mark.parametrize(
    ("to", "precisions"),
    [(["onnx", "torchscript", "c"], ["float32", "int8", "int4"]), (["coreml"], ["float16"])],
    ids=["with integers", "coreml"],
)
def test_its_files_pass_every_check(
    to: list[str], precisions: list[str], run_folder: Path, tmp_path: Path
) -> None:
    made = export_bundle(run_folder, tmp_path / "b", to=to, precision=precisions, steps=4)
    report = verify_bundle(made.folder, steps=4)
    assert report.passed, [c for a in report.artifacts for c in a.checks if c.status == "failed"]
    wanted = {(f, p) for f in to for p in precisions if (f, p[:3]) != ("torchscript", "int")}
    assert wanted <= {(a.format, a.precision) for a in report.artifacts}
