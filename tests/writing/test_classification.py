"""Labels of texts and of clips from a bundle: as the network gives them, whatever the file takes at
once.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from family_networks import classifier, export_tiny, layer

from edgernn.errors import DataError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.models.checkpoint import Checkpoint
from edgernn.models.layered.description import NetworkConfig
from edgernn.models.layered.network import Network
from edgernn.writing.classification import Classifier

TEXTS = ["abc", "g", "fade a bag ", "cafe"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("texts") / "bundle"
    return export_tiny("classifier", out, to=["onnx", "c"], precision=["float32", "int8"])


def network(config: dict[str, object]) -> Network:
    torch.manual_seed(5)  # as export_tiny draws it
    return Network(NetworkConfig.model_validate(config)).eval()


def probabilities(model: Network, given: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        scores = model.graph("step", given, *model.initial_state(1))[0][0]
    found: np.ndarray = scores.double().softmax(-1).numpy()
    return found


@pytest.mark.parametrize("artifact", ["onnx/step.onnx", "onnx/step-int8.onnx", "c/step"])
def test_running_probabilities_are_the_networks_after_each_token(
    texts: Path, artifact: str
) -> None:
    model = network(classifier().config)
    with Classifier(texts, artifact=artifact) as opened:
        read = [opened.read(text) for text in TEXTS]
        found = list(opened.classify([row.ids for row in read]))
    assert opened.labels == ("cold", "mild", "hot") and opened.textual
    for text, row, said in zip(TEXTS, read, found, strict=True):
        expected = probabilities(model, torch.from_numpy(row.ids[None]))
        assert "".join(row.tokens) == text
        np.testing.assert_allclose(
            said.running, expected, atol=0.02 if "int8" in artifact else 1e-5
        )
        assert said.label == opened.labels[expected[-1].argmax()]
        assert said.probability == said.running[-1].max()
        assert [label for label, _ in said.steps()][-1] == said.label
        assert sum(said.to_record()["probabilities"].values()) == pytest.approx(1)


def test_what_the_vocabulary_lacks(texts: Path) -> None:
    with Classifier(texts) as opened:
        with pytest.raises(DataError, match="the vocabulary has no 'x'"):
            opened.read("axb")
        assert opened.read("axb", on_unknown="skip").tokens == ("a", "b")
        with pytest.raises(DataError, match="the model reads nothing of the text 'xyz'"):
            opened.read("xyz", on_unknown="skip")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network]:
    """A classifier of frames of three numbers, and its network."""
    config = {
        "family": "classifier",
        "inputs": [{"name": "frames", "axes": ["batch", "time", "features"]}],
        "sizes": {"features": 3, "classes": 2},
        "layers": [
            layer("normalise", "normalise", "frames", mean=[1, 2, 3], variance=[4, 1, 9]),
            layer("rnn", "recurrent", "normalise", cell="gru", hidden=6),
            layer("dropout", "dropout", "rnn", share=0.5),
            layer("head", "linear", "dropout", width="classes"),
        ],
        "outputs": {"logits": "head"},
        "labels": {"classes": ["rest", "knock"]},
    }
    random, model = np.random.default_rng(2), network(config)
    sample = {
        "frames": random.normal(size=(40, 6, 3)).astype("float32"),
        "lengths": random.integers(2, 7, 40),
        "target": random.integers(0, 2, 40),
    }
    out = tmp_path_factory.mktemp("frames") / "bundle"
    return export_bundle(Checkpoint(model, None, {}, sample), out, to=["onnx"]).folder, model


def test_clips_and_a_clip_that_goes_on(frames: tuple[Path, Network]) -> None:
    path, model = frames
    random = np.random.default_rng(7)
    clips = [random.normal(size=(count, 3)).astype("float32") for count in (5, 2, 70)]
    with Classifier(path) as opened:
        assert not opened.textual and opened.width == 3
        found = list(opened.classify(clips))
        live = [said.running[-1] for said in opened.follow(iter(clips[0]))]
    for clip, said in zip(clips, found, strict=True):
        expected = probabilities(model, torch.from_numpy(clip[None]))
        np.testing.assert_allclose(said.running, expected, atol=1e-5)
    np.testing.assert_allclose(live, found[0].running, atol=1e-5)


def test_normalisation_begins_with_its_statistics(frames: tuple[Path, Network]) -> None:
    found = frames[1].layers["normalise"]((torch.tensor([[[3.0, 2.0, 0.0]]]),), ())[0][0]
    np.testing.assert_allclose(found.detach()[0, 0], [1.0, 0.0, -1.0], atol=1e-4)


def test_what_does_not_fit_the_model(frames: tuple[Path, Network]) -> None:
    with Classifier(frames[0]) as opened:
        with pytest.raises(UsageError, match="reads frames of 3 numbers, and 'abc' is a text"):
            opened.read("abc")
        with pytest.raises(DataError, match="frames of 2 numbers, the model reads frames of 3"):
            list(opened.classify([np.zeros((4, 2), np.float32)]))
