"""sgrvinod's attention captioner: one file of whole modules and optimisers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from captioner_runs import read, ready, rolled, run_of, seen, tokens
from upstream_captioners import (
    ATT,
    REGIONS,
    WORDS,
    DecoderWithAttention,
    Encoder,
    SgrvinodAttention,
)
from upstream_language import importable, save

from edgernn.containers import reading
from edgernn.data.pictures.caption_ids import caption_text
from edgernn.errors import CheckpointError, DataError
from edgernn.importers.base import BY_CLASS, BY_KEYS, Opened
from edgernn.importers.table import importer_of

NAMES = ["<pad>", *(f"w{i}" for i in range(1, WORDS - 3)), "<unk>", "<start>", "<end>"]
CLASSES = {
    "Encoder": Encoder,
    "DecoderWithAttention": DecoderWithAttention,
    "Attention": SgrvinodAttention,
}


def written(
    path: Path, model: DecoderWithAttention, *, side: int | None = None, legacy: bool = False
) -> Path:
    with importable("models", **CLASSES):
        content = {
            "epoch": 3,
            "epochs_since_improvement": 0,
            "bleu-4": 0.2,
            "encoder": Encoder(side),
            "decoder": model,
            "encoder_optimizer": None,
            "decoder_optimizer": torch.optim.Adam(model.parameters()),
        }
        return save(content, path, legacy=legacy)


def word_map(folder: Path) -> Path:
    path = folder / "WORDMAP_coco.json"
    path.write_text(json.dumps({word: i for i, word in enumerate(NAMES)}))
    return path


@pytest.mark.parametrize("legacy", [False, True])
def test_its_scores_and_where_it_looks(legacy: bool, tmp_path: Path) -> None:
    model, shown, ids = ready(DecoderWithAttention()), seen()["att"], tokens()
    with torch.no_grad():
        scores, alphas = model(shown, ids)
    path = written(tmp_path / "BEST.pth.tar", model, legacy=legacy)
    found = run_of(path, tmp_path / "run", "sgrvinod", vocabulary=word_map(tmp_path))
    made = rolled(found, {"regions": shown}, ids)
    np.testing.assert_allclose(made["logits"], scores.numpy(), atol=1e-5)
    np.testing.assert_allclose(made["attention"], alphas.numpy(), atol=1e-5)


def test_special_ids_stand_behind_the_words(tmp_path: Path) -> None:
    path = written(tmp_path / "BEST.pth.tar", ready(DecoderWithAttention()))
    for vocabulary in (word_map(tmp_path), None):
        found = read(path, "sgrvinod", vocabulary=vocabulary)
        decoding = found.config.decoding(None)
        assert (decoding.start, decoding.stop) == ((WORDS - 2,), (WORDS - 1,))
        assert decoding.suppress == (0, WORDS - 2)
        assert found.tokenizer is not None
        text = caption_text(found.tokenizer, [WORDS - 2, 4, 1, WORDS - 1, 3], decoding)
        assert text == ("<4> <1>" if vocabulary is None else "w4 w1")
        assert ("without its words" in " ".join(found.told)) == (vocabulary is None)


def test_the_encoder_says_how_many_regions(tmp_path: Path) -> None:
    model = ready(DecoderWithAttention())
    for side, sizes in ((2, REGIONS), (None, None)):
        path = written(tmp_path / f"{side}.tar", model, side=side)
        found = read(path, "sgrvinod").config.contract().sizes
        assert found.get("regions") == sizes
        assert found["region_width"] == ATT


def test_a_state_dict_of_the_decoder_alone(tmp_path: Path) -> None:
    model, shown, ids = ready(DecoderWithAttention()), seen()["att"], tokens()
    torch.save(model.state_dict(), tmp_path / "decoder.pt")
    importer = importer_of("sgrvinod")
    sure = importer.match(Opened(reading.read(tmp_path / "decoder.pt")))
    whole = importer.match(Opened(reading.read(written(tmp_path / "BEST.tar", model))))
    assert sure is not None
    assert whole is not None
    assert (sure.sureness, whole.sureness) == (BY_KEYS, BY_CLASS)
    with torch.no_grad():
        scores, _ = model(shown, ids)
    found = run_of(tmp_path / "decoder.pt", tmp_path / "run", "sgrvinod")
    made = rolled(found, {"regions": shown}, ids)
    np.testing.assert_allclose(made["logits"], scores.numpy(), atol=1e-5)


def test_a_word_map_of_another_size_and_a_decoder_in_parts(tmp_path: Path) -> None:
    model = ready(DecoderWithAttention())
    path = written(tmp_path / "BEST.tar", model)
    (tmp_path / "small.json").write_text(json.dumps({word: i for i, word in enumerate(NAMES[:9])}))
    with pytest.raises(DataError, match=f"has 9 ids, the model has rows for {WORDS}"):
        read(path, "sgrvinod", vocabulary=tmp_path / "small.json")
    del model.init_c
    with pytest.raises(CheckpointError, match=r"lacks init_c\.weight; expected every tensor"):
        read(written(tmp_path / "part.tar", model), "sgrvinod")


def test_its_resnet_is_taken_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgernn.importers import sgrvinod
    from edgernn.models import image_encoder as encoders

    # a smaller one of torchvision's names in the place of ResNet-101
    monkeypatch.setitem(encoders.ENCODERS, "resnet101", encoders.ENCODERS["resnet18"])
    monkeypatch.setattr(sgrvinod, "_PICTURE", 96)
    resnet = encoders.image_encoder("resnet18", 96)
    parts = [resnet.get_submodule(name) for name in ("conv1", "bn1")]
    parts += [torch.nn.ReLU(), resnet.get_submodule("maxpool")]
    parts += [resnet.get_submodule(f"layer{i}") for i in range(1, 5)]
    model, encoder = ready(DecoderWithAttention(width=512)), Encoder(5)
    encoder.resnet = torch.nn.Sequential(*parts)
    image = torch.randint(0, 256, (2, 96, 96, 3), dtype=torch.uint8)
    ids = tokens(2)
    with torch.no_grad():
        maps = encoder.resnet.eval()(encoders.normalise(image))  # [B, 512, 3, 3]
        pooled = torch.nn.AdaptiveAvgPool2d(5)(maps)
        scores, _ = model(pooled.permute(0, 2, 3, 1).flatten(1, 2), ids)
    named = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    named |= {f"decoder.{name}": tensor for name, tensor in model.state_dict().items()}
    monkeypatch.setattr(sgrvinod, "_SIDE", 5)
    torch.save(named, tmp_path / "both.pt")
    found = run_of(tmp_path / "both.pt", tmp_path / "run", "sgrvinod")
    made = rolled(found, {"image": image}, ids)
    np.testing.assert_allclose(made["logits"], scores.numpy(), atol=1e-4)
    assert made["attention"].shape == (2, ids.shape[1], 25)
