"""The word language model of pytorch/examples: every cell, tied or not, as object or state dict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from upstream_language import RNNModel, drawn, importable, log_softmax, rolled, save, taken

from edgernn.errors import CheckpointError, DataError, UsageError
from edgernn.models.language import LanguageConfig

KINDS = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn", "RNN_RELU": "rnn_relu"}


def corpus(folder: Path, words: int) -> Path:
    """Write a corpus of that many words, ``<eos>`` among them; return its folder."""
    folder.mkdir()
    names = [f"w{i}" for i in range(words - 1)]
    (folder / "train.txt").write_text(" ".join(names[:10]) + "\n")
    (folder / "valid.txt").write_text(" ".join(names[5:15]) + "\n")
    (folder / "test.txt").write_text(" ".join(names[15:]) + "\n")
    return folder


def upstream(kind: str, **sizes: int | bool) -> tuple[RNNModel, np.ndarray]:
    """Return a model in evaluation mode, and its log-probabilities ``[B, T, V]``."""
    torch.manual_seed(1)
    model = RNNModel(kind, **sizes).eval()  # type: ignore[arg-type]
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.4, 0.4)
    tokens = drawn(model.ntoken)
    with torch.no_grad():
        made = model(tokens.T)[0].view(tokens.shape[1], tokens.shape[0], -1)  # [T, B, V]
    return model, made.transpose(0, 1).numpy()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_object_gives_what_its_forward_gives(
    kind: str, legacy: bool, tmp_path: Path
) -> None:
    model, expected = upstream(kind, tied=kind == "LSTM")
    with importable("model", RNNModel=RNNModel):
        path = save(model, tmp_path / "model.pt", legacy=legacy)
    word, imported = taken(path, vocabulary=corpus(tmp_path / "corpus", 23))
    assert word == "word-lm"
    config = imported.config
    assert isinstance(config, LanguageConfig)
    assert (config.cell, config.tied, config.layers) == (KINDS[kind], kind == "LSTM", 2)
    assert imported.tokenizer is not None
    assert imported.tokenizer.encode("w0 w14\n").tolist() == [0, 15, 10]
    found = log_softmax(rolled(imported, drawn(23)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert any("log_softmax" in sentence for sentence in imported.told)


@pytest.mark.parametrize("wrapped", ["", "module.", "state_dict.", "model._orig_mod."])
def test_a_state_dict_under_any_prefix(wrapped: str, tmp_path: Path) -> None:
    model, expected = upstream("GRU", width=6, hidden=9)
    state = {f"{wrapped}{name}": tensor for name, tensor in model.state_dict().items()}
    state["optimizer.state.0.exp_avg"] = torch.zeros(23, 6)
    word, imported = taken(save(state, tmp_path / "model.pt"))
    assert word == "word-lm"
    assert imported.config.family == "module"
    assert imported.tokenizer is None
    assert any("--vocabulary" in sentence for sentence in imported.told)
    found = log_softmax(rolled(imported, drawn(23)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_cells_of_one_gate_in_a_state_dict_are_told_or_said(tmp_path: Path) -> None:
    model, expected = upstream("RNN_RELU")
    path = save(model.state_dict(), tmp_path / "model.pt")
    _, guessed = taken(path)
    assert any("tanh" in sentence for sentence in guessed.told)
    _, said = taken(path, settings={"cell": "rnn_relu"})
    assert not any("tanh" in sentence for sentence in said.told)
    np.testing.assert_allclose(log_softmax(rolled(said, drawn(23))), expected, atol=1e-5)


def test_a_tied_head_whose_weight_is_left_out_is_the_table(tmp_path: Path) -> None:
    model, expected = upstream("GRU", tied=True)
    path = save(without(dict(model.state_dict()), "decoder.weight"), tmp_path / "model.pt")
    word, imported = taken(path)
    assert word == "word-lm"
    found = log_softmax(rolled(imported, drawn(23)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_network_of_many_layers(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    model.rnn = nn.GRU(8, 8, 7)
    path = save(model.state_dict(), tmp_path / "model.pt")
    _, imported = taken(path, vocabulary=corpus(tmp_path / "corpus", 23))
    assert isinstance(imported.config, LanguageConfig)
    with torch.no_grad():
        expected = model(drawn(23).T)[0].view(40, 2, -1).transpose(0, 1).numpy()
    np.testing.assert_allclose(log_softmax(rolled(imported, drawn(23))), expected, atol=1e-5)


def test_half_precision_is_taken_as_it_is(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    half = model.half()
    path = save(half.state_dict(), tmp_path / "model.pt")
    with torch.no_grad():
        wide = half.float()(drawn(23).T)[0].view(40, 2, -1).transpose(0, 1).numpy()
    np.testing.assert_allclose(log_softmax(rolled(taken(path)[1], drawn(23))), wide, atol=1e-5)


def test_the_last_part_of_the_corpus_is_the_held_out_sample(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    path = save(model.state_dict(), tmp_path / "model.pt")
    folder = corpus(tmp_path / "corpus", 23)
    _, imported = taken(path, vocabulary=folder)
    assert imported.evaluation["tokens"].tolist() == [*range(16, 23), 10]
    (folder / "test.txt").write_text("")
    model.encoder, model.decoder = nn.Embedding(16, 8), nn.Linear(8, 16)
    path = save(model.state_dict(), tmp_path / "model.pt")
    _, imported = taken(path, vocabulary=folder)
    assert imported.evaluation["tokens"].tolist() == [*range(5, 10), *range(11, 16), 10]


def without(state: dict[str, torch.Tensor], *names: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if name not in names}


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda s: without(s, "rnn.weight_hh_l1"), "rnn layer 1 has no weight_hh"),
        (lambda s: without(s, "rnn.bias_hh_l0"), "rnn layer 0 has no bias_hh"),
        (lambda s: {**s, "rnn.weight_ih_l0": torch.zeros(32, 7)}, "takes 7 numbers"),
        (lambda s: {**s, "rnn.weight_ih_l1": torch.zeros(32, 7)}, "takes 7 numbers"),
        (lambda s: {**s, "rnn.weight_ih_l1": torch.zeros(30, 8)}, r"\[30, 8\]|shape \[32"),
        (lambda s: {**s, "rnn.bias_ih_l0": torch.zeros(31)}, r"bias_ih of .* \[31\]"),
        (lambda s: {**s, "rnn.weight_hh_l0": torch.zeros(32)}, "two axes"),
        (lambda s: {**s, "decoder.bias": torch.zeros(22)}, r"decoder.bias has the shape \[22\]"),
        (lambda s: {**s, "decoder.weight": torch.zeros(23, 9)}, "takes 9 numbers"),
    ],
)
def test_damaged_files_are_refused(damage, says: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model, _ = upstream("LSTM")
    path = save(damage(dict(model.state_dict())), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=says):
        taken(path)


def test_an_object_without_its_head_is_refused(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    del model.decoder
    with importable("model", RNNModel=RNNModel):
        path = save(model, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"no matrix decoder\.weight"):
        taken(path)


def test_a_bidirectional_network_is_refused_with_the_reason(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    model.rnn = nn.LSTM(8, 8, 2, bidirectional=True)
    path = save(model.state_dict(), tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="bidirectional"):
        taken(path)


def test_two_networks_in_a_file_are_told_apart_by_root(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    state = model.state_dict()
    path = save({"model": state, "average": state}, tmp_path / "model.pt")
    with pytest.raises(UsageError, match=r"under model, average; choose one by --set root=model$"):
        taken(path)
    assert taken(path, settings={"root": "average"})[0] == "word-lm"


def test_a_vocabulary_of_another_size_is_refused(tmp_path: Path) -> None:
    model, _ = upstream("LSTM")
    path = save(model.state_dict(), tmp_path / "model.pt")
    with pytest.raises(DataError, match=r"22 ids.*23"):
        taken(path, vocabulary=corpus(tmp_path / "corpus", 22))
