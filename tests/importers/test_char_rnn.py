"""The character model of spro/char-rnn.pytorch, by class and by its hundred rows."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
import torch
from upstream_language import STEPS, CharRNN, drawn, importable, rolled, save, taken

from edgernn.models.language import LanguageConfig


def upstream(kind: str) -> tuple[CharRNN, np.ndarray]:
    """Return a model and its logits ``[B, T, V]``, a character a call as its forward takes it."""
    torch.manual_seed(2)
    model, tokens, state, made = CharRNN(kind).eval(), drawn(100), None, []
    with torch.no_grad():
        for t in range(STEPS):
            logits, state = model(tokens[:, t], state)
            made.append(logits)
    return model, torch.stack(made, 1).numpy()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_the_whole_object_with_its_characters(kind: str, legacy: bool, tmp_path: Path) -> None:
    model, expected = upstream(kind)
    with importable("model", CharRNN=CharRNN):
        path = save(model, tmp_path / "shakespeare.pt", legacy=legacy)
    word, imported = taken(path)
    assert word == "char-rnn"
    assert isinstance(imported.config, LanguageConfig)
    np.testing.assert_allclose(rolled(imported, drawn(100)), expected, atol=1e-5)
    assert imported.tokenizer is not None
    text = "Then, \t09 aZ~\n"
    assert imported.tokenizer.encode(text).tolist() == [string.printable.index(c) for c in text]
    assert any("unidecode" in sentence for sentence in imported.told)
