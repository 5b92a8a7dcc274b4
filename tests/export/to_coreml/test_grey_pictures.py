"""A picture of one channel is a grey pixel buffer to Core ML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgernn.contract import ENCODE, FileContract
from edgernn.export.to_coreml.exporter import CoreMLExporter
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.sessions.coreml import CoreMLSession
from edgernn.sessions.mil.session import MilSession
from tests.models.layered.networks import layer

_DESCRIBED = {
    "family": "module",
    "given": [
        {"name": "image", "dtype": "uint8", "axes": ["batch", "height", "width", "channels"]}
    ],
    "encode": [layer("grey", "grey", "image")],
    "contexts": {"picture": "grey"},
    "inputs": [{"name": "move", "axes": ["batch", "time", "coordinates"]}],
    "sizes": {"height": 6, "width": 4, "channels": 1, "coordinates": 2},
    "layers": [layer("crops", "glimpse", "picture", "move", side=2, strides=[1])],
    "outputs": {"seen": "crops"},
}


def test_a_grey_picture_goes_in_as_one_channel(tmp_path: Path) -> None:
    network = Network(NetworkConfig.model_validate(_DESCRIBED)).eval()
    path, exporter = tmp_path / "encode.mlpackage", CoreMLExporter()
    exporter.export(network, path, precision="float32", decoding=None, graph=ENCODE)
    contract = network.config.contract()
    narrowing = exporter.narrowing(contract.graph(ENCODE), "float32")
    assert narrowing.dtypes == {"image": "picture"}
    file_contract = FileContract(contract=contract, graph=ENCODE, narrowing=narrowing)
    image = np.random.default_rng(2).integers(0, 256, (1, 6, 4, 1)).astype(np.uint8)
    session = MilSession.open(path, file_contract)
    contexts, _ = session.encode({"image": image})
    assert np.allclose(contexts["picture"], image[..., 0] / 255, atol=1e-3)

    given: dict[str, Any] = {}

    class Stub:
        def predict(self, feeds: dict[str, Any]) -> dict[str, np.ndarray]:
            given.update(feeds)
            return {"picture": np.zeros((1, 6, 4), np.float32)}

    CoreMLSession(Stub(), file_contract).encode({"image": image})
    assert (given["image"].mode, given["image"].size) == ("L", (4, 6))
    assert np.array_equal(np.asarray(given["image"]), image[0, ..., 0])
