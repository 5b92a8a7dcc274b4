"""Files that the upstream code of language models wrote, and what it computed with them; where
``EDGERNN_CASES`` names the folder of recorded cases.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from upstream_language import log_softmax, rolled, taken

from edgernn.importers.building import built

CASES = Path(os.environ.get("EDGERNN_CASES", "")) / "foreign"
pytestmark = pytest.mark.skipif(
    "EDGERNN_CASES" not in os.environ, reason="EDGERNN_CASES names no folder of recorded cases"
)


def ids(array: np.ndarray) -> torch.Tensor:
    """Return recorded ``[T, B]`` or ``[T]`` ids as ``[B, T]``."""
    return torch.from_numpy(array.reshape(len(array), -1).T.copy())


def test_the_tied_word_model() -> None:
    run = np.load(CASES / "data/pyex_wordlm_lstm_tied.npz")
    path = CASES / "checkpoints/pyex_wordlm_lstm_tied.pt"
    word, imported = taken(path)
    assert word == "word-lm"
    model, tokens = built(imported, path), ids(run["in/tokens"])
    state = [torch.from_numpy(run[f"state0/{name}"]) for name in ("h", "c")]
    for t in range(tokens.shape[1]):
        with torch.no_grad():
            logits, *state = model.graph("step", tokens[:, t : t + 1], *state)
        found = log_softmax(logits[:, 0].numpy())
        np.testing.assert_allclose(found, run["out/log_probs"][t], atol=1e-5)
        for name, tensor in zip(("h", "c"), state, strict=True):
            np.testing.assert_allclose(tensor.numpy(), run[f"state/{name}"][t], atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_trained_word_models_with_their_corpus(cell: str) -> None:
    run = np.load(CASES / "data/pyex_trained.npz")
    path, corpus = CASES / f"checkpoints/pyex_{cell}.pt", CASES / "checkpoints/corpus"
    word, imported = taken(path, vocabulary=corpus)
    assert word == "word-lm"
    found = log_softmax(rolled(imported, ids(run[f"in/{cell}_tokens"])))[0]
    np.testing.assert_allclose(found, run[f"out/{cell}_log_probs"], atol=1e-5)
    assert imported.tokenizer is not None
    words = bytes(run["ctx/vocabulary"]).decode().split("\n")
    expected = ["\n" if word == "<eos>" else word for word in words]
    assert [imported.tokenizer.token(i) for i in range(len(words))] == expected


def test_the_character_model() -> None:
    run = np.load(CASES / "data/spro_charrnn_gru.npz")
    word, imported = taken(CASES / "checkpoints/spro_charrnn_gru.pt")
    assert word == "char-rnn"
    found = rolled(imported, ids(run["in/tokens"]))
    np.testing.assert_allclose(found, run["out/logits"].swapaxes(0, 1), atol=1e-5)


def test_the_weight_dropped_model() -> None:
    run = np.load(CASES / "data/awd_lstm_wdrop_tied.npz")
    word, imported = taken(CASES / "checkpoints/awd_lstm_list.pt")
    assert word == "awd-lstm"
    found = rolled(imported, ids(run["in/tokens"]))
    np.testing.assert_allclose(found, run["out/logits"].swapaxes(0, 1), atol=1e-5)
