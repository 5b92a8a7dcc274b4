"""k2-fsa/icefall's RNN LM and yunjey's language model: state dicts of an embedding, an LSTM, a
linear layer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from upstream_language import drawn, rolled, save, taken

WORDS = 23


def upstream(
    names: tuple[str, str, str], layers: int, *, tied: bool
) -> tuple[nn.Module, np.ndarray]:
    """Return a batch-first LSTM model with its modules called ``names``, and its logits."""
    torch.manual_seed(6)
    model = nn.Module()
    table, stack = nn.Embedding(WORDS, 8), nn.LSTM(8, 8, layers, batch_first=True)
    head = nn.Linear(8, WORDS)
    if tied:
        head.weight = table.weight
    for name, module in zip(names, (table, stack, head), strict=True):
        model.add_module(name, module)
    with torch.no_grad():
        return model, head(stack(table(drawn(WORDS)))[0]).numpy()


@pytest.mark.parametrize("tied", [False, True])
def test_the_icefall_model(tied: bool, tmp_path: Path) -> None:
    names = ("input_embedding", "rnn", "output_linear")
    model, expected = upstream(names, 3, tied=tied)
    path = save({"model": model.state_dict()}, tmp_path / "pretrained.pt")
    word, imported = taken(path)
    assert word == "icefall-rnn-lm"
    np.testing.assert_allclose(rolled(imported, drawn(WORDS)), expected, atol=1e-5)


def test_yunjeys_model_with_the_words_of_its_one_file(tmp_path: Path) -> None:
    model, expected = upstream(("embed", "lstm", "linear"), 1, tied=False)
    (tmp_path / "train.txt").write_text(" ".join(f"w{i}" for i in range(WORDS - 1)) + "\n")
    path = save(model.state_dict(), tmp_path / "model.ckpt")
    word, imported = taken(path, vocabulary=tmp_path / "train.txt")
    assert word == "yunjey-lm"
    np.testing.assert_allclose(rolled(imported, drawn(WORDS)), expected, atol=1e-5)
    assert imported.tokenizer is not None
    assert imported.tokenizer.encode("w3\n").tolist() == [3, WORDS - 1]
