"""fastai's AWD_LSTM: the layouts of versions 0.7, 1 and 2, bare encoders, classifiers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from upstream_language import drawn, rolled, save, taken

from edgernn.containers import reading
from edgernn.errors import CheckpointError
from edgernn.importers.base import Opened
from edgernn.importers.fastai import FastaiLanguageModel

WORDS = 23


class Upstream(nn.Module):
    """Encoder and decoder as plain layers: what a fastai model computes in evaluation, its hidden
    state of zeros at the start of a text.
    """

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.encoder = nn.Embedding(WORDS, 6)
        self.layers = nn.ModuleList(
            nn.LSTM(i, h, batch_first=True) for i, h in ((6, 10), (10, 10), (10, 6))
        )
        self.bias = nn.Parameter(torch.randn(WORDS)) if bias else None

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        y = self.encoder(tokens)  # [B, T, E]
        for layer in self.layers:
            y = layer(y)[0]
        return nn.functional.linear(y, self.encoder.weight, self.bias), y

    def state(self, version: str) -> dict[str, Tensor]:
        """Return the state dict of ``learn.model`` of a version."""
        table = self.encoder.weight.data
        made = {"0.encoder.weight": table}
        copy = "encoder_with_dropout.embed" if version == "0.7" else "encoder_dp.emb"
        made[f"0.{copy}.weight"] = table
        for place, layer in enumerate(self.layers):
            own = {name: tensor.data for name, tensor in layer.named_parameters()}
            raw = own.pop("weight_hh_l0")
            start = f"0.rnns.{place}."
            if version == "0.7":
                made[f"{start}module.weight_hh_l0_raw"] = raw
            else:
                made[f"{start}weight_hh_l0_raw"] = raw
            if version == "1":  # saved in training: what dropping made of it
                made[f"{start}module.weight_hh_l0"] = nn.functional.dropout(raw, 0.5)
            made |= {f"{start}module.{name}": tensor for name, tensor in own.items()}
        made["1.decoder.weight"] = table
        if self.bias is not None:
            made["1.decoder.bias"] = self.bias.data
        return made


def upstream(**options: bool) -> tuple[Upstream, np.ndarray, np.ndarray]:
    torch.manual_seed(4)
    model = Upstream(**options)
    with torch.no_grad():
        logits, features = model(drawn(WORDS))
    return model, logits.numpy(), features.numpy()


def itos(path: Path) -> Path:
    """Write the words as fastai does, a pickled list."""
    special = ["xxunk", "xxpad", "xxbos"]
    words = special + [f"w{i}" for i in range(WORDS - len(special))]
    path.write_bytes(pickle.dumps(words))
    return path


@pytest.mark.parametrize("version", ["0.7", "1", "2"])
@pytest.mark.parametrize("whole", [False, True])
def test_each_version_alone_and_as_learn_save_writes_it(
    version: str, whole: bool, tmp_path: Path
) -> None:
    model, expected, _ = upstream(bias=version != "0.7")
    content: Any = model.state(version)
    if whole:
        optimiser = {"state": {0: {"exp_avg": torch.zeros(WORDS, 6)}}, "param_groups": []}
        content = {"model": content, "opt": optimiser}
    path = save(content, tmp_path / "lm.pth")
    word, imported = taken(path, vocabulary=itos(tmp_path / "itos.pkl"))
    assert word == "fastai"
    assert imported.config.family == "language"
    np.testing.assert_allclose(rolled(imported, drawn(WORDS)), expected, atol=1e-5)
    assert imported.tokenizer is not None
    assert imported.tokenizer.encode("w0 xxbos").tolist() == [3, 2]


def test_the_words_may_lie_beside_as_a_companion(tmp_path: Path) -> None:
    model, _, _ = upstream()
    path = save(model.state("2"), tmp_path / "lm.pth")
    words = reading.read(itos(tmp_path / "itos.pkl"))
    found = Opened(reading.read(path), companions=(words,))
    tokenizer = FastaiLanguageModel().read(found).tokenizer
    assert tokenizer is not None
    assert tokenizer.encode("w1").tolist() == [4]


def test_ids_that_differ_from_fastais_are_told(tmp_path: Path) -> None:
    model, _, _ = upstream()
    words = [f"w{i}" for i in range(WORDS - 2)] + ["xxunk", "xxpad"]
    (tmp_path / "itos.pkl").write_bytes(pickle.dumps(words))
    path = save(model.state("2"), tmp_path / "lm.pth")
    _, imported = taken(path, vocabulary=tmp_path / "itos.pkl")
    assert any("xxunk has the id 21" in sentence for sentence in imported.told)


def test_a_bare_encoder_gives_its_hidden_state(tmp_path: Path) -> None:
    model, _, expected = upstream()
    state = model.state("1")
    bare = {n.removeprefix("0."): t for n, t in state.items() if n.startswith("0.")}
    word, imported = taken(save(bare, tmp_path / "encoder.pth"))
    assert word == "fastai"
    assert [*imported.config.outputs] == ["hidden"]
    assert any("no score" in sentence for sentence in imported.told)
    np.testing.assert_allclose(rolled(imported, drawn(WORDS)), expected, atol=1e-5)


@pytest.mark.parametrize("inner", ["0.", "0.module."])
def test_a_classifier_is_refused_by_name(inner: str, tmp_path: Path) -> None:
    model, _, _ = upstream()
    state = {n: t for n, t in model.state("2").items() if not n.startswith("1.")}
    state = {f"{inner}{name.removeprefix('0.')}": tensor for name, tensor in state.items()}
    state |= {"1.layers.0.weight": torch.zeros(18), "1.layers.2.weight": torch.zeros(50, 18)}
    with pytest.raises(CheckpointError, match="classifier of fastai"):
        taken(save(state, tmp_path / "class.pth"))


def test_quasi_recurrent_layers_are_refused(tmp_path: Path) -> None:
    model, _, _ = upstream()
    state = {n: t for n, t in model.state("2").items() if ".rnns." not in n}
    state["0.rnns.0.layers.0.linear.weight_raw"] = torch.zeros(30, 6)
    with pytest.raises(CheckpointError, match="QRNN"):
        taken(save(state, tmp_path / "qrnn.pth"))
