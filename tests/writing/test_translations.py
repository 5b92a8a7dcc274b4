"""Translations of texts from a bundle, written by a network whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from family_networks import export_tiny

from edgernn.bundle import Bundle
from edgernn.data.pairs.pair_ids import END_ID, PAD_ID, START_ID
from edgernn.errors import DataError, UsageError
from edgernn.export.pack import export_bundle
from edgernn.models import checkpoint
from edgernn.models.layered.network import Network
from edgernn.writing.translations import TranslationWriter


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny("translator", tmp_path_factory.mktemp("t") / "b", to=["onnx"], steps=8)


def greedy(network: Network, ids: list[int], length: int) -> tuple[list[int], np.ndarray]:
    """Write one text with the model itself, step by step; where it looked, too."""
    features, keys, mask, *state = network.graph("encode", torch.tensor([ids]))
    token, made, looked = START_ID, list[int](), list[np.ndarray]()
    for _ in range(length):
        logits, alpha, *state = network.graph(
            "step", torch.tensor([[token]]), features, keys, mask, *state
        )
        logits[..., [PAD_ID, START_ID]] = -torch.inf
        token = int(logits.argmax())
        if token == END_ID:
            break
        made.append(token)
        looked.append(alpha[0, 0].numpy())
    return made, np.stack(looked)


def test_a_text_is_what_the_model_itself_writes(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    loaded = checkpoint.load(opened.path("reference"))
    network, tokenizer = loaded.model.requires_grad_(False), loaded.text_tokenizer
    with TranslationWriter(bundle) as writer:
        found = writer.write(" bad cafe ")
    ids = tokenizer.encode("bad cafe").tolist()
    wanted, looked = greedy(network, ids, 5)
    assert found.text == tokenizer.decode(wanted)
    assert found.source == "bad cafe"
    assert found.attention is not None
    np.testing.assert_allclose(found.attention, looked, atol=1e-5)
    assert found.to_record().keys() == {
        "source", "translation", "score", "log_probability", "finished",
    }  # fmt: skip


def test_a_beam_finds_no_worse(bundle: Path) -> None:
    with TranslationWriter(bundle) as writer:
        one, three = (writer.write("face", beam=beam).hypothesis.score for beam in (1, 3))
    assert three >= one


def test_nothing_may_be_the_best_to_write(bundle: Path, tmp_path: Path) -> None:
    checkpoint_of = tmp_path / "run"
    loaded = checkpoint.load(Bundle.open(bundle).path("reference"))
    head = loaded.model.get_parameter("layers.head.bias")
    with torch.no_grad():
        head[END_ID] = 100.0  # the end comes first, whatever is read
    checkpoint.save(loaded, checkpoint_of)
    made = export_bundle(checkpoint_of, tmp_path / "b", to="onnx", steps=8)
    with TranslationWriter(made) as writer:
        for beam in (1, 50):
            found = writer.write("face", beam=beam)
            assert found.text == "" and found.attention is not None
            assert found.attention.shape == (0, 4)


def test_what_cannot_be_read_is_told(bundle: Path) -> None:
    with TranslationWriter(bundle) as writer:
        with pytest.raises(DataError, match="no 'x'"):
            writer.write("fax")
        assert writer.write("fax", on_unknown="skip").source == "fa"
        with pytest.raises(DataError, match="no character that the model knows"):
            writer.write("  ")


def test_another_bundle_is_refused(tmp_path: Path) -> None:
    other = export_tiny("classifier", tmp_path / "b", to=["onnx"], steps=8)
    with pytest.raises(UsageError, match="use: edgernn classify"):
        TranslationWriter(other)
