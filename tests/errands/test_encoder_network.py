"""A network with an encoder, a first value of every kind and an output of the encoder that no step
takes: it goes the whole way.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.numpy
import torch
from torch import Tensor, nn

from edgernn import verify_bundle
from edgernn.bundle import Bundle, digest
from edgernn.contract import Contract, GraphSpec, TensorSpec
from edgernn.export import export_step
from edgernn.sessions.model import open_model

HIDDEN, WIDTH, PLACES = 4, 3, 5
HOST = Path(__file__).resolve().parents[2] / "runtime_examples" / "python" / "main.py"


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, HIDDEN)

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keys = torch.tanh(self.into(source))  # [B, places, H]
        return keys, keys.sum(1), keys.amax(2)


class Step(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH + HIDDEN, HIDDEN)

    def forward(
        self, frame: Tensor, keys: Tensor, h: Tensor, bias: Tensor, last: Tensor
    ) -> tuple[Tensor, ...]:
        h = torch.tanh(self.into(torch.cat((frame, h), 1)) + bias + keys.mean(1) + last)
        return 2 * h, h, bias * 0.9, h - last


def tensor(name: str, role: str, *axes: str) -> TensorSpec:
    return TensorSpec(name=name, role=role, dtype="float32", axes=axes)


def contract() -> Contract:
    keys = tensor("keys", "context", "batch", "places", "hidden")
    states = [tensor(name, "state", "batch", "hidden") for name in ("h", "bias", "last")]
    after = [state.model_copy(update={"name": f"{state.name}_next"}) for state in states]
    encode = GraphSpec(
        name="encode",
        inputs=(tensor("source", "input", "batch", "places", "width"),),
        outputs=(keys, states[0], tensor("salience", "output", "batch", "places")),
    )
    step = GraphSpec(
        name="step",
        inputs=(tensor("frame", "input", "batch", "width"), keys, *states),
        outputs=(tensor("out", "output", "batch", "hidden"), *after),
    )
    sizes = {"places": PLACES, "width": WIDTH, "hidden": HIDDEN}
    return Contract(
        graphs=(encode, step), sizes=sizes, initial_state={"h": "encode", "bias": "stored"}
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(5)
    return export_step(
        Step().eval(),
        contract(),
        tmp_path_factory.mktemp("encoder") / "b",
        encode=Encoder().eval(),
        first_state={"bias": torch.full((1, HIDDEN), 0.25)},
        to=["onnx", "torchscript"],
        steps=8,
    )


def test_every_file_passes_every_check(bundle: Bundle) -> None:
    report = verify_bundle(bundle.folder, steps=8)
    assert report.passed, [(c.name, c.detail) for a in report.artifacts for c in a.checks]


def test_it_begins_with_a_value_of_every_kind(bundle: Bundle) -> None:
    model = open_model(bundle)
    source = np.ones((2, PLACES, WIDTH), np.float32)
    contexts, state = model.begin({"source": source})
    assert list(contexts) == ["keys"]
    assert state["h"].any()
    assert (state["bias"] == 0.25).all()
    assert state["bias"].shape == (2, HIDDEN)
    assert not state["last"].any()
    stored = safetensors.numpy.load_file(bundle.folder / "initial_state.safetensors")
    assert list(stored) == ["bias"]


def test_what_only_the_encoder_gives_is_recorded_and_held_to(
    bundle: Bundle, tmp_path: Path
) -> None:
    golden = safetensors.numpy.load_file(bundle.folder / "golden.safetensors")
    assert golden["salience"].shape == (1, PLACES)
    copy = tmp_path / "b"
    shutil.copytree(bundle.folder, copy)
    path = copy / "onnx" / "encode.onnx"
    model = onnx.load(str(path))
    (node,) = (node for node in model.graph.node if "salience" in node.output)
    node.output[list(node.output).index("salience")] = "right"
    model.graph.node.append(onnx.helper.make_node("Neg", ["right"], ["salience"]))
    onnx.save(model, str(path))
    found = digest(path)
    manifest = bundle.manifest
    artifacts = tuple(
        artifact.model_copy(update={"bytes": found.bytes, "sha256": found.sha256})
        if artifact.path == "onnx/encode.onnx"
        else artifact
        for artifact in manifest.artifacts
    )
    (copy / "manifest.json").write_text(
        manifest.model_copy(update={"artifacts": artifacts}).to_json()
    )
    (wrong,) = (a for a in verify_bundle(copy, steps=8).artifacts if a.path == "onnx/encode.onnx")
    failed = {check.name: check.detail for check in wrong.checks if check.status == "failed"}
    assert {"rollout", "golden"} <= failed.keys()
    assert "salience" in failed["rollout"]


def test_a_host_replays_it(bundle: Bundle) -> None:
    command = [sys.executable, str(HOST), str(bundle.folder), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "salience" in done.stdout
