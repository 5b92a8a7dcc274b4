"""yunjey/pytorch-tutorial's captioner: the decoder alone, and with its encoder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from captioner_runs import read, ready, rolled, run_of
from upstream_captioners import EMBED, WORDS, DecoderRNN, EncoderCNN
from upstream_language import importable

from edgernn.containers import reading
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.decoding.captions import greedy_captions
from edgernn.importers.base import BY_CLASS, BY_KEYS, Opened, Wishes
from edgernn.importers.invariances import session_model
from edgernn.importers.table import importer_of
from edgernn.importers.yunjey_lm import YunjeyLanguageModel
from edgernn.models.image_encoder import image_encoder, normalise

NAMES = ["<pad>", "<start>", "<end>", "<unk>", *(f"w{i}" for i in range(4, WORDS))]


class Vocabulary:
    """As build_vocab.py has it."""

    def __init__(self) -> None:
        self.word2idx = {word: i for i, word in enumerate(NAMES)}
        self.idx2word = dict(enumerate(NAMES))
        self.idx = len(NAMES)


def saved(folder: Path, model: torch.nn.Module, name: str = "decoder.ckpt") -> Path:
    torch.save(model.state_dict(), folder / name)
    return folder / name


def vocabulary(folder: Path) -> Path:
    import pickle

    with importable("build_vocab", Vocabulary=Vocabulary):
        (folder / "vocab.pkl").write_bytes(pickle.dumps(Vocabulary()))
    return folder / "vocab.pkl"


@pytest.mark.parametrize("layers", [1, 2])
def test_sample_comes_out(layers: int, tmp_path: Path) -> None:
    model, features = ready(DecoderRNN(layers)), torch.randn(4, EMBED)
    with torch.no_grad():
        ids, scores = model.sample(features)
    found = run_of(saved(tmp_path, model), tmp_path / "run", "yunjey")
    decoding = found.config.decoding(None)
    assert (decoding.start, decoding.stop, decoding.length) == ((1,), (), 20)
    shown = {"features": features.numpy()}
    assert greedy_captions(session_model(found), shown, decoding) == ids.tolist()
    assert len({tuple(row) for row in ids.tolist()}) > 1
    fed = torch.cat([torch.ones(4, 1, dtype=torch.int64), ids[:, :-1]], 1)
    made = rolled(found, {"features": features}, fed)
    np.testing.assert_allclose(made["logits"], scores.numpy(), atol=1e-5)
    other = rolled(found, {"features": features}, torch.cat([fed[:, :1] + 5, fed[:, 1:]], 1))
    assert np.array_equal(other["logits"], made["logits"])  # the first id is not looked at


def test_a_recorded_run_of_greedy_ids(tmp_path: Path) -> None:
    model, features = ready(DecoderRNN()), torch.randn(2, EMBED)
    with torch.no_grad():
        ids, scores = model.sample(features)
    run = {
        "ctx/features": features,
        "whole/greedy": ids,
        "out/logits": scores[:, :12].transpose(0, 1),
    }
    np.savez(tmp_path / "run.npz", **{name: tensor.numpy() for name, tensor in run.items()})
    from edgernn.errors import CheckFailedError
    from edgernn.importers.importing import import_checkpoint

    path = saved(tmp_path, model)
    taken = import_checkpoint(
        path, tmp_path / "out", family="yunjey", check=tmp_path / "run.npz", tolerance=1e-5
    )
    assert [each.name for each in taken.compared] == ["out/logits"]
    run["out/logits"] = run["out/logits"] + torch.eye(WORDS)[3]
    np.savez(tmp_path / "run.npz", **{name: tensor.numpy() for name, tensor in run.items()})
    with pytest.raises(CheckFailedError, match="out/logits is"):
        import_checkpoint(path, tmp_path / "out", family="yunjey", check=tmp_path / "run.npz")


def test_words_of_its_pickled_vocabulary(tmp_path: Path) -> None:
    path = saved(tmp_path, ready(DecoderRNN()))
    for found in (
        read(path, "yunjey", vocabulary(tmp_path)),
        read(path, "yunjey", vocabulary=vocabulary(tmp_path)),
    ):
        assert found.tokenizer is not None
        assert [found.tokenizer.token(i) for i in range(WORDS)] == NAMES
        ids = [1, 5, 9, 2, 7, 7]
        assert caption_text(found.tokenizer, ids, found.config.decoding(None)) == "w5 w9"


def test_whose_it_is_what_is_beside_it_says(tmp_path: Path) -> None:
    path, words = reading.read(saved(tmp_path, DecoderRNN())), vocabulary(tmp_path)
    (tmp_path / "corpus.json").write_text(json.dumps({f"w{i}": i for i in range(WORDS)}))
    captioner, language = importer_of("yunjey"), YunjeyLanguageModel()

    def sureness(wishes: Wishes) -> tuple[int | None, int | None]:
        opened = Opened(path, tuple(map(reading.read, wishes.companions)), wishes)
        found = captioner.match(opened), language.match(opened)
        return tuple(None if match is None else match.sureness for match in found)  # type: ignore[return-value]

    assert sureness(Wishes()) == (BY_KEYS, BY_KEYS)  # which the file alone does not say
    assert sureness(Wishes(vocabulary=words)) == (BY_CLASS, BY_KEYS)
    assert sureness(Wishes(companions=(words,))) == (BY_CLASS, None)
    assert sureness(Wishes(vocabulary=tmp_path / "corpus.json")) == (None, BY_KEYS)


def test_an_encoder_that_is_no_resnet_is_left_out(tmp_path: Path) -> None:
    path = saved(tmp_path, ready(DecoderRNN()))
    beside = saved(tmp_path, ready(EncoderCNN(width=5)), "encoder.ckpt")
    found = read(path, "yunjey", beside)
    assert "no ResNet-152" in " ".join(found.told)
    assert [port.name for port in found.config.given] == ["features"]


def test_its_resnet_is_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgernn.importers import yunjey
    from edgernn.models import image_encoder as encoders

    # a smaller one of torchvision's names in the place of ResNet-152
    monkeypatch.setitem(encoders.ENCODERS, "resnet152", encoders.ENCODERS["resnet18"])
    monkeypatch.setattr(yunjey, "_PICTURE", 32)
    resnet = image_encoder("resnet18", 32)
    parts = [resnet.get_submodule(name) for name in ("conv1", "bn1")]
    parts += [torch.nn.ReLU(), resnet.get_submodule("maxpool")]
    parts += [resnet.get_submodule(f"layer{i}") for i in range(1, 5)]
    children = [*parts, torch.nn.AdaptiveAvgPool2d(1)]
    encoder, model = EncoderCNN(children, width=512), ready(DecoderRNN())
    with torch.no_grad():
        encoder.bn.running_mean.uniform_(-1, 1)
    encoder.eval()
    image = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        ids, _ = model.sample(encoder(normalise(image)))
    path, beside = saved(tmp_path, model), saved(tmp_path, encoder, "encoder.ckpt")
    found = run_of(path, tmp_path / "run", "yunjey", beside)
    assert found.config.contract().graph("encode").unit == "picture"
    shown = {"image": image.numpy()}
    assert greedy_captions(session_model(found), shown, found.config.decoding(None)) == ids.tolist()
