"""Networks of layers in every format, read again from their run folder and verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgernn.bundle import Bundle
from edgernn.data.text.tokenizer import Tokenizer
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint, load, save
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.parity.verify import verify_bundle
from edgernn.writing.text import write_text
from tests.models.layered.networks import layer, module
from tests.models.layered.test_two_graphs import attentive

AUDIO = module(
    layer("rnn", "recurrent", "x", cell="lstm", hidden=6, first="stored"),
    layer("tail", "linear", "rnn", width="width"),
    layer("out", "add", "tail", "x"),
    width=1,
    out="out",
)
DENSE = module(
    layer("rnn", "recurrent", "x", cell="gru", hidden=6),
    layer("dense", "linear", "rnn", width=5),
    layer("out", "activation", "dense", function="relu"),
    width=3,
    out="out",
)
CAUSAL = module(
    layer("conv", "convolution", "x", width=6, kernel=3, dilation=2),
    layer("norm", "normalise", "conv"),
    layer("rnn", "recurrent", "norm", cell="gru", hidden=6),
    layer("own", "layer_norm", "rnn"),
    layer("out", "linear", "own", width=2),
    width=3,
    out="out",
)
DEFINED: dict[str, dict[str, Any]] = {
    "audio": AUDIO,
    "dense": DENSE,
    "causal": CAUSAL,
    "attention": attentive(),
}
LARGE = ("causal", "attention")  # with every kind of product; open time, and one step a call


def made(name: str) -> Network:
    """Return the seeded network, no parameter and no buffer near zero."""
    torch.manual_seed(8)
    network = Network(NetworkConfig.model_validate(DEFINED[name])).eval()
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.uniform_(0.2, 0.7).mul_(torch.randint(0, 2, tensor.shape) * 2 - 1)
        for buffer, tensor in network.named_buffers():
            tensor.abs_() if buffer.endswith("running_var") else None
    return network


def run_folder(name: str, folder: Path) -> Path:
    """Write the network's run, without a vocabulary, and with a sample where it takes frames."""
    network = made(name)
    frames = network.config.sizes.get("width")
    drawn = np.random.default_rng(1).normal(size=(1, 80, frames or 1)).astype(np.float32)
    save(Checkpoint(network, None, {}, {"x": drawn} if frames else {}), folder)
    return folder


def passed(bundle: Bundle, steps: int = 24) -> set[str]:
    """Return the paths of the artifacts, all of which must pass."""
    report = verify_bundle(bundle, steps=steps)
    assert report.passed, report
    return {artifact.path for artifact in bundle.manifest.artifacts}


@pytest.mark.parametrize("name", DEFINED)
def test_a_run_folder_without_vocabulary_is_read_again(name: str, tmp_path: Path) -> None:
    folder = run_folder(name, tmp_path / "run")
    again, network = load(folder), made(name)
    assert again.tokenizer is None
    assert again.model.config == network.config
    for key, tensor in network.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], tensor), key


@pytest.mark.parametrize("name", DEFINED)
def test_its_files_pass_and_time_is_open_where_all_layers_can(name: str, tmp_path: Path) -> None:
    folder = run_folder(name, tmp_path / "run")
    bundle = export_bundle(folder, tmp_path / "net", to=["onnx", "torchscript"], steps=24)
    assert {"onnx/step.onnx", "torchscript/step.pt"} <= passed(bundle)
    step = next(a for a in bundle.manifest.artifacts if a.path == "onnx/step.onnx")
    one_step = name == "attention"
    assert step.narrowing.axes == ({"time": 1} if one_step else {})
    assert ("time" in bundle.manifest.contract.sizes) == one_step


@pytest.mark.parametrize("precision", ["float16", "int8", "int4"])
@pytest.mark.parametrize("name", LARGE)
def test_onnx_in_smaller_numbers(name: str, precision: str, tmp_path: Path) -> None:
    folder = run_folder(name, tmp_path / "run")
    bundle = export_bundle(folder, tmp_path / "net", to="onnx", precision=precision, steps=24)
    assert f"onnx/step-{precision}.onnx" in passed(bundle)
    (artifact,) = (a for a in bundle.manifest.artifacts if a.graph == "step")
    if precision.startswith("int"):
        assert {w.dtype for w in artifact.weights if len(w.shape) > 1} <= {precision, "int8"}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_language_network_writes_text_here_and_in_the_graph(
    make_network: Callable[..., Network], tokenizer: Tokenizer, precision: str, tmp_path: Path
) -> None:
    """What is written must be what the model itself finds most probable, id after id."""
    network = make_network(seed=5)
    save(Checkpoint(network, tokenizer), tmp_path / "run")
    bundle = export_bundle(
        tmp_path / "run", tmp_path / "lm", to="onnx", precision=precision, in_graph=True, steps=24
    )
    assert len(passed(bundle)) == 2  # the greedy and the decoding checks are among them
    (step,) = (a for a in bundle.manifest.artifacts if a.graph == "step")
    tables = {w.name: w.shape for w in step.weights}
    assert tables["embedding"] == (tokenizer.vocabulary_size, 32 if precision == "int8" else 6)
    ids, state, wanted = tokenizer.encode("the").tolist(), network.initial_state(1), []
    with torch.no_grad():
        for place in range(len(ids) + 8):
            fed = ids[place] if place < len(ids) else wanted[-1]
            logits, *state = network.graph("step", torch.tensor([[fed]]), *state)
            wanted += [int(logits[0, -1].argmax())] if place >= len(ids) - 1 else []
    for artifact in bundle.manifest.artifacts:
        told = write_text(bundle, "the", length=9, temperature=0.0, artifact=artifact.path, seed=0)
        assert told["tokens"] == wanted, artifact.path
