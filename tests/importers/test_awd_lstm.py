"""salesforce/awd-lstm-lm: its list of three objects, with dropped weights beside the raw ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from upstream_language import (
    AwdModel,
    SplitCrossEntropyLoss,
    WeightDrop,
    drawn,
    importable,
    rolled,
    save,
    taken,
)

from edgernn.errors import CheckpointError

CLASSES = {"RNNModel": AwdModel}


def upstream(**options: bool | str) -> tuple[AwdModel, np.ndarray]:
    """Return a model after a training step's forward, so that dropped matrices stand in it, and
    the decoder over its own forward in evaluation ``[B, T, V]``.
    """
    torch.manual_seed(3)
    model = AwdModel(**options)  # type: ignore[arg-type]
    tokens = drawn(23)
    with torch.no_grad():
        logits = model.decoder(model.eval()(tokens.T)).transpose(0, 1)
        model.train()(tokens.T)
    return model, logits.numpy()


def written(path: Path, model: AwdModel, *, splits: int = 1, legacy: bool = False) -> Path:
    content = [model, SplitCrossEntropyLoss(splits=splits), torch.optim.SGD(model.parameters(), 30)]
    with (
        importable("model", **CLASSES),
        importable("weight_drop", WeightDrop=WeightDrop),
        importable("splitcross", SplitCrossEntropyLoss=SplitCrossEntropyLoss),
    ):
        return save(content, path, legacy=legacy)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wdrop", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_list_of_three(wdrop: bool, tied: bool, legacy: bool, tmp_path: Path) -> None:
    model, expected = upstream(wdrop=wdrop, tied=tied)
    word, imported = taken(written(tmp_path / "PTB.pt", model, legacy=legacy))
    assert word == "awd-lstm"
    np.testing.assert_allclose(rolled(imported, drawn(23)), expected, atol=1e-5)
    assert any("_raw" in sentence for sentence in imported.told) == wdrop


def test_the_dropped_matrix_beside_the_raw_one_is_not_taken(tmp_path: Path) -> None:
    model, expected = upstream(wdrop=True)
    state = model.state_dict()
    dropped = state["rnns.0.module.weight_hh_l0"]
    assert (dropped == 0).float().mean() > 0.3  # the hazard is there
    names = sorted(state)  # the raw one comes after the other, and before it
    for order in (names, names[::-1]):
        path = save({name: state[name] for name in order}, tmp_path / "state.pt")
        word, imported = taken(path)
        assert word == "awd-lstm"
        np.testing.assert_allclose(rolled(imported, drawn(23)), expected, atol=1e-5)


def test_layers_of_one_width_with_a_vocabulary_are_a_language_model(tmp_path: Path) -> None:
    model, expected = upstream(wdrop=True, tied=False)
    words = tmp_path / "train.txt"
    words.write_text(" ".join(f"w{i}" for i in range(22)) + "\n")
    path = written(tmp_path / "PTB.pt", model)
    imported = taken(path, vocabulary=words)[1]
    assert type(imported.config).__name__ == "LanguageConfig"
    np.testing.assert_allclose(rolled(imported, drawn(23)), expected, atol=1e-5)


def test_other_widths_with_a_vocabulary_are_a_language_network(tmp_path: Path) -> None:
    model, expected = upstream(wdrop=False)
    words = tmp_path / "train.txt"
    words.write_text(" ".join(f"w{i}" for i in range(22)) + "\n")
    imported = taken(written(tmp_path / "PTB.pt", model), vocabulary=words)[1]
    assert imported.config.family == "language"
    assert "layers.head.weight" not in imported.tensors  # it is the embedding's
    np.testing.assert_allclose(rolled(imported, drawn(23)), expected, atol=1e-5)


def test_the_model_alone_and_gru_layers(tmp_path: Path) -> None:
    model, expected = upstream(wdrop=True, kind="GRU")
    with importable("model", **CLASSES), importable("weight_drop", WeightDrop=WeightDrop):
        path = save(model, tmp_path / "old.pt")
    word, imported = taken(path)
    assert word == "awd-lstm"
    np.testing.assert_allclose(rolled(imported, drawn(23)), expected, atol=1e-5)


def test_a_loss_that_shares_in_the_distribution_is_refused(tmp_path: Path) -> None:
    model, _ = upstream(wdrop=True)
    with pytest.raises(CheckpointError, match="tail_vectors"):
        taken(written(tmp_path / "big.pt", model, splits=2))


def test_quasi_recurrent_layers_are_refused(tmp_path: Path) -> None:
    model, _ = upstream(wdrop=True)
    layer = nn.Module()
    layer.linear = nn.Linear(6, 30)
    model.rnns = nn.ModuleList([layer])
    with pytest.raises(CheckpointError, match="QRNN"):
        taken(written(tmp_path / "qrnn.pt", model))


def test_a_layer_of_the_list_that_is_missing_is_named(tmp_path: Path) -> None:
    model, _ = upstream(wdrop=True)
    state = {n: t for n, t in model.state_dict().items() if not n.startswith("rnns.1.")}
    with pytest.raises(CheckpointError, match="the list rnns are 0, 2, expected 0, 1"):
        taken(save(state, tmp_path / "cut.pt"))
